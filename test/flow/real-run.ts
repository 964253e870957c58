/**
 * The real run: the villages in one table, delivered into another, then inserts, updates, key changes and deletes by several
 * concurrent writers while it flows. Both ends must be equal at rest.
 */
import { villageColumns, villagesResource } from '../../config-examples/demo/villages.ts'
import { difference, mayBeEqual, openClient, tableRows, type Client, type Difference } from '../support/client.ts'
import { Exchange, type TestAgent } from '../support/exchange.ts'
import { until } from '../support/programs.ts'

export interface RealRunOptions {
  sourceUrl: string
  targetUrl: string
  rows: readonly string[][]
  writers: number
  /** Transactions of each writer, 1 to 20 rows each. */
  transactions: number
  note?: (line: string) => void
}

export interface RealRunResult extends Difference {
  firstLoadSeconds: number
  /** Seconds from the writers' end until both ends were equal. */
  settleSeconds: number
  changes: number
}

export async function realRun(options: RealRunOptions): Promise<RealRunResult> {
  const exchange = await Exchange.start({ embedded: true })
  const [source, target] = [await openClient(options.sourceUrl), await openClient(options.targetUrl)]
  try {
    const { receiver } = await connectVillages(exchange, options.sourceUrl, options.targetUrl)
    const table = deliveredTable(options.targetUrl)
    await loadVillages(source, options.rows)
    const started = performance.now()
    for (const agent of exchange.agents.values()) agent.program.start()
    await until(
      'the first load is complete',
      async () => (await sinkState(receiver)) === 'flowing' && (await countRows(target, table)) === options.rows.length,
      300,
    )
    const firstLoadSeconds = (performance.now() - started) / 1000
    options.note?.(`first load: ${options.rows.length} rows in ${firstLoadSeconds.toFixed(1)} s`)
    const changes = await writeConcurrently(options)
    const written = performance.now()
    const result = await settle(source, target, table)
    const settleSeconds = (performance.now() - written) / 1000
    options.note?.(`${changes} changed rows by ${options.writers} writers; equal ${settleSeconds.toFixed(1)} s after their end`)
    await tableFollows(exchange, await countRows(source, 'villages'))
    return { ...result, firstLoadSeconds, settleSeconds, changes }
  } finally {
    await exchange.stop()
    await Promise.all([source.end(), target.end()])
  }
}

/** The hub's own table of the resource has all rows; also when it was made anew by command. */
async function tableFollows(exchange: Exchange, rows: number): Promise<void> {
  const stands = async (anew?: unknown) => {
    const [table, ...more] = (await exchange.office('table', 'list')) as unknown as (Record<string, unknown> & { resource: string })[]
    const whole = more.length === 0 && table?.['state'] === 'live' && table['rows'] === rows && table['place'] === table['head']
    return whole && table['id'] !== anew ? table['id'] : undefined
  }
  const first = await until('the resource table has all', () => stands())
  await exchange.office('table', 'rebuild', 'villages')
  await until('it is made anew', () => stands(first))
}

export function deliveredTable(url: string): string {
  return url.startsWith('postgres') ? 'delivered.villages' : 'delivered_villages'
}

/** Statistics supplies `villages`; civil affairs receives all items. Nothing is started yet. `more`: additions to the source's configuration. */
export async function connectVillages(
  exchange: Exchange,
  sourceUrl: string,
  targetUrl: string,
  more: object = {},
): Promise<{ provider: TestAgent; receiver: TestAgent; route: string; grant: string }> {
  const sources = [{ resource: 'villages', database: 'front', table: 'villages', ...more }]
  const provider = await exchange.enrol('statistics-front', { agency: 'statistics', databases: { front: { url: sourceUrl } }, sources })
  await exchange.publish(villagesResource())
  await provider.command('setup', '--create-table')
  const sinks = [{ resource: 'villages', database: 'front', table: deliveredTable(targetUrl) }]
  const receiver = await exchange.enrol('civil-affairs-front', { agency: 'civil-affairs', databases: { front: { url: targetUrl } }, sinks })
  return { provider, receiver, ...(await exchange.grant('villages', receiver, [...villageColumns])) }
}

export async function loadVillages(client: Client, rows: readonly string[][]): Promise<void> {
  for (let at = 0; at < rows.length; at += 2_000)
    await client.query(
      `insert into villages values ${rows
        .slice(at, at + 2_000)
        .map(tuple)
        .join(',')}`,
    )
}

function tuple(row: readonly string[]): string {
  return `(${row.map((value) => `'${value.replaceAll("'", "''").replaceAll('\\', '')}'`).join(',')})`
}

async function sinkState(receiver: TestAgent): Promise<string | undefined> {
  return (await receiver.report())?.sinks[0]?.state
}

async function countRows(client: Client, table: string): Promise<number> {
  return Number((await client.query(`select count(*) from ${table}`))[0]![0])
}

/** Each writer works on its own share of the codes, so that their transactions do not wait for each other. @returns changed rows. */
async function writeConcurrently({ sourceUrl, rows, writers, transactions }: RealRunOptions): Promise<number> {
  const changed = await Promise.all(
    Array.from({ length: writers }, async (_, w) => {
      const client = await openClient(sourceUrl)
      try {
        return await write(
          client,
          rows.filter((_row, i) => i % writers === w).map((row) => row[0]!),
          w,
          transactions,
        )
      } finally {
        await client.end()
      }
    }),
  )
  return changed.reduce((sum, n) => sum + n, 0)
}

async function write(client: Client, codes: string[], writer: number, transactions: number): Promise<number> {
  let changed = 0
  for (let t = 0; t < transactions; t++) {
    await client.query('begin')
    for (let n = 0; n <= (t * 7) % 20; n++) {
      await client.query(statement(codes, writer, t * 100 + n))
      changed++
    }
    await client.query(t % 11 === 10 ? 'rollback' : 'commit')
    if (t % 11 === 10) codes.length = Math.max(codes.length - 40, 1)
  }
  return changed
}

/** Codes made here begin with 9 and the writer's number; a code may be gone already (rolled back): then the statement changes nothing. */
function statement(codes: string[], writer: number, n: number): string {
  const code = codes[(n * 31) % codes.length]!
  const fresh = `9${String(writer).padStart(3, '0')}${String(n).padStart(8, '0')}`
  if (n % 5 === 0) return `insert into villages values ('${fresh}', '新增${n}', '街', '区', '市', '省')`
  if (n % 5 === 1) return `update villages set code = '${fresh}' where code = '${code}'`
  if (n % 5 === 2) return `delete from villages where code = '${code}'`
  return `update villages set name = '改名${n} 𠮷' where code = '${code}'`
}

/** Waits until both tables are equal; the last difference where they do not become so. */
export async function settle(source: Client, target: Client, table: string, seconds = 60): Promise<Difference> {
  const compare = async () =>
    difference(await tableRows(source, 'villages', villageColumns), await tableRows(target, table, villageColumns))
  const equal = async (): Promise<Difference | false> => {
    if (!(await mayBeEqual(source, 'villages', target, table, villageColumns))) return false
    const found = await compare()
    return found.missing.length + found.surplus.length === 0 && found
  }
  const unread: Difference = { rows: 0, missing: ['an end could not be read'], surplus: [] }
  return until('both ends are equal', equal, seconds).catch(() => compare().catch(() => unread))
}
