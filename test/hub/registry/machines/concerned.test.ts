/**
 * Whoever is to receive, supply or know something else after a change of the registry is waked, and hardly anybody beside. The oracle: what
 * every agent is told is read anew before and after every change.
 */
import t from 'tap'
import { AgentViews } from '../../../../hub/exchange/agent-views.ts'
import { produces } from '../../../../hub/exchange/streams.ts'
import { addGrant, setGrantItems, setGrantState } from '../../../../hub/registry/grants/grants.ts'
import { currentPolicy } from '../../../../hub/registry/grants/policy.ts'
import { addRoute } from '../../../../hub/registry/grants/routes.ts'
import { revokeAgent } from '../../../../hub/registry/machines/agents.ts'
import { enrol, issueToken } from '../../../../hub/registry/machines/enrolment.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { Wakeups } from '../../../../hub/store/wakeups.ts'
import { openPolicy } from '../../../../protocol/policy.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { Random } from '../../../faults/random.ts'
import { openCity, type City } from '../../city.ts'
import { enrolled, villages } from '../../office.ts'

const hubKey = generateSigningKey()
const agencies = ['civil', 'water', 'health']

/** What each agent is told and may do; who made a stream so far is noted by the exchange itself. */
async function toldOf(city: City): Promise<Map<string, string>> {
  const views = new AgentViews(city.store, new Wakeups())
  const agents = await city.store.query<{ id: string; state: string }>('select id, state from agent order by id')
  const told = new Map<string, string>()
  for (const { id, state } of agents) {
    const { revoked, supplies, routes } = await views.of(id)
    const view = JSON.stringify([
      revoked,
      [...supplies.values()].map(({ lastProducer: _lastProducer, ...supplied }) => supplied),
      [...routes],
    ])
    if (state === 'revoked') told.set(id, JSON.stringify(revoked))
    else {
      const { jws } = await currentPolicy(city.store, hubKey, id, 0, city.now, { days: 30 })
      const { serial: _serial, issued: _issued, expires: _expires, ...policy } = openPolicy(jws, hubKey.publicKey, id, 0)
      told.set(id, view + JSON.stringify(policy))
    }
  }
  views.close()
  return told
}

class Changes {
  readonly #city: City
  readonly #random: Random
  #n = 0

  constructor(city: City, random: Random) {
    this.#city = city
    this.#random = random
  }

  #pick<T>(of: readonly T[]): T {
    return of[this.#random.between(0, of.length - 1)]!
  }

  async #one<T extends Record<string, string>>(sql: string): Promise<T> {
    const rows = await this.#city.store.query<T>(sql)
    if (rows.length === 0) throw new Error('none')
    return this.#pick(rows)
  }

  /** `machines`: changes of an agency's machines. Some are refused, and change nothing. */
  readonly machines = {
    enrol: async () => void (await enrolled(this.#city, this.#pick(agencies))),
    'enrol again': async () => {
      const { agency, key } = await this.#one('select agency, public_key as key from agent where state = $$active$$')
      const { secret } = await issueToken(this.#city, 'admin', agency!, 48)
      await enrol(this.#city, { secret, publicKey: key!, name: 'the same' })
    },
    revoke: async () => {
      const { id } = await this.#one('select id from agent')
      await revokeAgent(this.#city, 'admin', id!, 'lost')
    },
    replace: async () => {
      const { id, agency } = await this.#one('select id, agency from agent')
      const it = this.#city.as(agency!, 'agency-it')
      const { body } = await it.post('/machines', { name: 'new', purpose: '更换', providedBy: 'agency', replaces: id })
      await this.#city.as('city', 'office').post(`/machines/${body.id}/approve`)
      const { token } = (await it.post(`/machines/${body.id}/token`)).body
      const { secret } = JSON.parse(Buffer.from(token.replace('qzt1.', ''), 'base64url').toString())
      await enrol(this.#city, { secret, publicKey: generateSigningKey().publicKey, name: 'new' })
    },
  }

  readonly others = {
    publish: async () => {
      const resource = `r${++this.#n}`
      const schema = villages((draft) => Object.assign(draft, { resource, table: resource, title: resource, agency: this.#pick(agencies) }))
      await publishResource(this.#city, 'admin', { schema })
    },
    version: async () => {
      const { code, agency } = await this.#one('select code, agency from resource')
      const { producer } = await this.#one(
        `select null as producer union all select id from agent where agency = '${agency}' and state = 'active'`,
      )
      const openness = this.#pick(['internal', 'closed', 'public'] as const)
      const schema = villages((draft) => {
        Object.assign(draft, { resource: code, table: code, title: code, agency })
        Object.assign(draft.items[2]!, { openness, length: this.#random.between(100, 104) })
      })
      const supplyMode = this.#random.between(0, 4) === 0 ? 'form' : 'front-end'
      await publishResource(this.#city, 'admin', { schema, ...(producer && { producer }), supplyMode })
    },
    /** The first batch of a stream says who makes it. */
    produce: async () => {
      const { code, agency } = await this.#one('select code, agency from resource')
      const { id } = await this.#one(`select id from agent where agency = '${agency}' and state = 'active'`)
      const supplies = await new AgentViews(this.#city.store, new Wakeups()).of(id!)
      if (supplies.supplies.has(code!)) await produces(this.#city.store, code!, id!)
    },
    grant: async () => {
      const { code, agency } = await this.#one('select code, agency from resource')
      const receiver = this.#pick(agencies.filter((one) => one !== agency))
      const { id } = await addGrant(this.#city, 'admin', { resource: code!, agency: receiver, items: ['name', 'street'] })
      const agent = await this.#one(`select id from agent where agency = '${receiver}' and state = 'active'`)
      await addRoute(this.#city, 'admin', id, agent['id']!)
    },
    items: async () => {
      const { id } = await this.#one('select id from access_grant')
      await setGrantItems(this.#city, 'admin', id!, this.#pick([['name'], ['street'], ['name', 'street']]))
    },
    state: async () => {
      const { id } = await this.#one('select id from access_grant')
      await setGrantState(this.#city, 'admin', id!, this.#pick(['active', 'suspended', 'revoked'] as const), 'reason')
    },
    stop: async () => {
      const { code } = await this.#one('select code from resource')
      await this.#city.as('city', 'secrecy').post(`/resources/${code}/${this.#pick(['stop', 'stop', 'release'])}`, { reason: '核查' })
    },
    release: async () => {
      const { code } = await this.#one('select code from resource')
      await this.#city.as('city', 'secrecy').post(`/resources/${code}/release`, { reason: '核查' })
    },
    withdraw: async () => {
      if (this.#random.between(0, 5) > 0) return
      const { code, agency } = await this.#one('select code, agency from resource')
      await this.#city.as(agency!, 'reviewer').post(`/resources/${code}/withdraw`, { reason: '职能调整' })
    },
  }
}

t.test('after generated changes whoever is told otherwise was waked, and others of the machines’ changes were not', async (t) => {
  const seed = Number(process.env['QIANZHI_SEED'] ?? Date.now() % 100_000)
  const random = new Random(seed)
  const city = await openCity(t)
  for (const agency of agencies) await enrolled(city, agency)
  const changes = new Changes(city, random)
  const all = { ...changes.machines, ...changes.others }
  const kinds = Object.keys(all) as (keyof typeof all)[]
  for (let n = 0; n < 4; n++) await changes.others.publish()
  const slept: string[] = []
  const vain: string[] = []
  let [told, waked, refused, quiet] = [0, 0, 0, 0]
  let before = await toldOf(city)
  for (let n = 0; n < 50; n++) {
    const kind = kinds[random.between(0, kinds.length - 1)]!
    const heard = [...before.keys()].map((agent) => ({ agent, listener: city.wakeups.listen([`agent:${agent}`]) }))
    await all[kind]().catch(() => refused++)
    const woken = new Set<string>()
    for (const { agent, listener } of heard) {
      if (await listener.wait(0)) woken.add(agent)
      listener.close()
    }
    const after = await toldOf(city)
    const changed = [...before.keys()].filter((agent) => before.get(agent) !== after.get(agent))
    slept.push(...changed.filter((agent) => !woken.has(agent)).map((agent) => `${n} ${kind}: ${agent}`))
    if (kind in changes.machines && changed.length === 0) {
      quiet++
      vain.push(...[...woken].map((agent) => `${n} ${kind}: ${agent}`))
    }
    told += changed.length
    waked += woken.size
    before = after
  }
  t.same(
    slept,
    [],
    `seed ${seed}: nobody sleeps over what concerns them (${told} agents told otherwise, ${waked} waked, ${refused} refused)`,
  )
  t.same(vain, [], `of ${quiet} changes of machines that change nothing for others nobody hears`)
  t.ok(told > 10, 'enough changed')
})

t.test('a further machine wakes nobody where each resource keeps its producer', async (t) => {
  const city = await openCity(t)
  const first = await enrolled(city, 'civil')
  const receiver = await enrolled(city, 'water')
  await publishResource(city, 'admin', { schema: villages(), producer: first.id })
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  await addRoute(city, 'admin', grant.id, receiver.id)
  const heard = [first.id, receiver.id].map((agent) => city.wakeups.listen([`agent:${agent}`]))
  await enrolled(city, 'civil')
  await enrolled(city, 'water')
  for (const listener of heard) t.notOk(await listener.wait(0))
  await revokeAgent(city, 'admin', first.id, 'lost')
  for (const listener of heard) {
    t.ok(await listener.wait(0), 'then both are told')
    listener.close()
  }
})
