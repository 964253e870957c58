/** Faults of the soak: each begins, and has an end that puts everything in order again. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'undici'
import { agentPaths } from '../../protocol/api.ts'
import { openClient } from '../support/client.ts'
import type { Program } from '../support/programs.ts'
import type { City } from './city.ts'
import { tables, type Engine } from './tables.ts'

export interface Strike {
  name: string
  end(): Promise<void>
}

type Begin = (city: City) => Promise<Strike | undefined>

const insecure = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 1 })

/** By kind; undefined where it cannot be here. */
export const strikes: Record<string, Begin> = {
  kill: async (city) => {
    const who = city.random.pick(['provider', 'receiver', 'hub'] as const)
    const program = who === 'hub' ? city.exchange.hub : city[who].program
    await program.end('SIGKILL')
    return { name: `kill ${who}`, end: () => revive(city, program) }
  },
  /** A source moves between triggers and log, without a snapshot. */
  move: async ({ random, pairs, provider, moveSource }) => {
    if (!moveSource) return undefined
    const { resource } = random.pick(pairs)
    await provider.program.end()
    moveSource(resource)
    return {
      name: `move ${resource}`,
      async end() {
        await provider.command('setup', resource)
        if (!provider.program.running) provider.program.start()
      },
    }
  },
  'kill-database': async (city) => {
    const engine = city.random.pick(['postgres', 'mysql'] as const)
    await city.servers[engine].kill('SIGKILL')
    return { name: `kill ${engine}`, end: () => city.servers[engine].restart() }
  },
  'kill-store': async (city) => {
    const file = join(city.exchange.folder, 'hub', 'store', 'cluster', 'postmaster.pid')
    process.kill(Number(readFileSync(file, 'utf8').split('\n')[0]), 'SIGKILL')
    return { name: "kill the hub's store", end: () => city.exchange.ready() }
  },
  network: async (city) => {
    const [name, link] = city.random.pick(Object.entries(city.links))
    const how = city.random.pick(['drop', 'stall', 'halfOpen'] as const)
    link[how]()
    return { name: `${how} ${name}`, end: async () => link.resume() }
  },
  lock: async (city) => {
    const { engine, end, url } = somewhere(city)
    const table = city.random.pick(tables).name
    const client = await openClient(url)
    const lock =
      engine === 'postgres' ? `begin; set lock_timeout = '5s'; lock table ${table} in access exclusive mode` : `lock tables ${table} write`
    await client.query(lock)
    return { name: `lock ${end} ${engine} ${table}`, end: () => client.end() }
  },
  ddl: async (city) => {
    const { engine, end, url } = somewhere(city)
    const table = city.random.pick(tables).name
    const client = await openClient(url)
    const column = `extra_${city.random.between(0, 1e6)}`
    const wait = engine === 'postgres' ? `set lock_timeout = '5s'` : 'set lock_wait_timeout = 5'
    try {
      await client.query(wait)
      await client.query(`alter table ${table} add column ${column} varchar(20)`)
    } catch (error) {
      await client.end()
      throw error
    }
    return {
      name: `alter ${end} ${engine} ${table}`,
      async end() {
        const again = await openClient(url)
        await client.end().catch(() => undefined)
        try {
          await again.query(`alter table ${table} drop column ${column}`)
        } finally {
          await again.end()
        }
      },
    }
  },
  /** What the receiver's own rule refuses is set aside, and goes in by itself when the rule is gone. */
  refusal: async ({ random, urls }) => {
    const engine = random.pick(['postgres', 'mysql'] as const)
    const [table, wanted] = random.pick([
      ['licences', 'active'],
      ['orders', 'amount > 0'],
      ['persons', "born > date '1990-01-01'"],
      ['tree', 'place < 500000'],
    ] as const)
    const [begin, end] =
      engine === 'postgres'
        ? [
            `alter table ${table} add constraint refusal check (${wanted}) not valid`,
            `alter table ${table} drop constraint if exists refusal`,
          ]
        : [
            `create trigger refusal before insert on ${table} for each row begin
             if not (NEW.${wanted}) then signal sqlstate '45000' set message_text = 'not wanted'; end if; end`,
            'drop trigger if exists refusal',
          ]
    await inTarget(urls.target[engine], begin)
    return { name: `target ${engine} wants ${table} with ${wanted} only`, end: () => inTarget(urls.target[engine], end) }
  },
  /** A receiver fills a table anew while changes come. */
  refill: async ({ random, pairs, receiver }) => {
    const { resource } = random.pick(pairs)
    await receiver.command('resync', resource)
    return { name: `refill ${resource}`, end: async () => undefined }
  },
  /** One transaction of very many rows, among them hundreds that hand on their unique values. */
  storm: async ({ random, urls }) => {
    const engine = random.pick(['postgres', 'mysql'] as const)
    const client = await openClient(urls.source[engine])
    const mark = `s${random.between(0, 1e6)}-`
    const postgres = engine === 'postgres'
    const name = postgres ? `'${mark}' || n` : `concat('${mark}', n)`
    const numbers = `with recursive r (n) as (select 1 union all select n + 1 from r where n < 900)`
    const into = `insert into licences`
    const made = `select ${name}, ${name}, ${name}, '2031-01-01', true from r`
    const number = postgres ? `split_part(licence_no, '-', 2)::int` : `substring_index(licence_no, '-', -1)`
    const next = postgres ? `'${mark}' || (${number} % 900 + 1)` : `concat('${mark}', ${number} % 900 + 1)`
    const those = `where licence_no like '${mark}%'`
    try {
      await client.query('begin')
      await client.query(`delete from licences where licence_no like 's%'`)
      await client.query(postgres ? `${numbers} ${into} ${made}` : `${into} ${numbers} ${made}`)
      await client.query('commit')
      await client.query('begin')
      await client.query(`update licences set uscc = concat('~', uscc), holder = concat('~', holder) ${those}`)
      await client.query(`update licences set uscc = ${next}, holder = ${next} ${those}`)
      await client.query('commit')
    } finally {
      await client.end().catch(() => undefined)
    }
    return { name: `900 licences on ${engine}, twice`, end: async () => undefined }
  },
  noise: async (city) => {
    for (const path of Object.values(agentPaths)) {
      const body = randomBytes(city.random.between(0, 4096))
      const headers = { signature: 'sig1=:AAAA:', 'signature-input': 'sig1=("@method");created=1;keyid="x"' }
      const answer = await request(`https://127.0.0.1:${city.exchange.port}${path}`, {
        method: 'POST',
        body,
        headers,
        dispatcher: insecure,
      })
      await answer.body.dump()
      if (answer.statusCode < 400) city.taken.push(`random bytes to ${path}`)
    }
    return { name: 'random bytes to the hub', end: async () => undefined }
  },
  hostile: async ({ random, neighbour, pairs, routes, provider, taken }) => {
    const { resource } = random.pick(pairs)
    const others = { provider: provider.id, resource, route: routes.get(resource)! }
    for (let n = 0; n < 5; n++) taken.push(...(await neighbour.attack(random, others)))
    return { name: `a hostile neighbour, at ${resource}`, end: async () => undefined }
  },
  clock: async (city) => {
    const who = city.random.pick(['provider', 'receiver'] as const)
    const by = city.random.pick([-90, -20, 20, 90]) * 1000
    await city[who].program.end('SIGKILL')
    const shim = fileURLToPath(new URL('clock.ts', import.meta.url))
    const environment = { NODE_OPTIONS: `--import=${shim}`, QIANZHI_TEST_CLOCK: String(by) }
    Object.assign(process.env, environment)
    city[who].program.start()
    for (const name of Object.keys(environment)) delete process.env[name]
    return {
      name: `clock of ${who} ${by / 1000} s`,
      async end() {
        await city[who].program.end('SIGTERM')
        city[who].program.start()
      },
    }
  },
  disk: async ({ disk }) => {
    disk?.fill()
    return disk && { name: 'full disk below target postgres wide', end: async () => disk.free() }
  },
}

async function inTarget(url: string, statement: string): Promise<void> {
  const client = await openClient(url)
  try {
    await client.query(client.engine === 'postgres' ? `set lock_timeout = '5s'` : 'set lock_wait_timeout = 5')
    await client.query(statement)
  } finally {
    await client.end()
  }
}

async function revive(city: City, program: Program): Promise<void> {
  if (!program.running) program.start()
  if (program === city.exchange.hub) await city.exchange.ready()
}

function somewhere({ random, urls }: City): { engine: Engine; end: 'source' | 'target'; url: string } {
  const [engine, end] = [random.pick(['postgres', 'mysql'] as const), random.pick(['source', 'target'] as const)]
  return { engine, end, url: urls[end][engine] }
}
