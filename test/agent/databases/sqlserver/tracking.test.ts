/** What Change Tracking's versions mean for the queue: against a stand-in that answers with versions and writes down what it is told. */
import t from 'tap'
import { planOf } from '../../../../agent/databases/sqlserver/plan.ts'
import type { RawValue, Session, SqlParameters } from '../../../../agent/databases/sqlserver/connection.ts'
import { Tracking } from '../../../../agent/databases/sqlserver/tracking.ts'
import { licence, sourceOf } from '../conformance/fixture.ts'

const column = (name: string, id: number) => ({
  column: name,
  type: 'nvarchar',
  bytes: 200,
  precision: 0,
  scale: 0,
  nullable: false,
  collation: 'Chinese_PRC_CI_AS',
  computed: false,
  identity: false,
  automatic: false,
  id,
  defaulted: false,
})
const schema = { ...licence, items: licence.items.slice(0, 2) }
const plan = planOf(sourceOf(schema, { capture: 'tracking', queueLimit: 1 }), {
  id: 7,
  table: 'dbo.licence',
  name: '[dbo].[licence]',
  kind: 'table',
  columns: [column('id', 1), column('name', 2)],
  uniques: [{ name: 'PK', primary: true, constraint: true, columns: ['id'] }],
})

interface Versions {
  version: string
  tracked: string | null
  from: string
  began: string | null
  least: string | null
}

class Versioned implements Session {
  readonly stages = new Map<string, string>()
  readonly server = {
    version: '15',
    edition: '',
    database: 'd',
    schema: 'dbo',
    collation: 'x',
    reading: 'snapshot',
    rowcount: true,
  } as const
  now: Versions
  changes = 1
  told: string[] = []
  /** Runs between the reading of the changes and the check after it. */
  meanwhile: (() => void) | undefined

  constructor(now: Partial<Versions> = {}) {
    this.now = { version: '12', tracked: '10', from: '3', began: '3', least: '4', ...now }
  }

  async query(sql: string, parameters: SqlParameters = {}): Promise<RawValue[][]> {
    const { version, tracked, from, began, least } = this.now
    if (sql.startsWith('select change_tracking_current_version()')) return [[version, tracked, from, began, least]]
    if (sql.includes('select count(*)')) return [[this.changes]]
    if (sql.includes('(marked)')) this.told.push('mark')
    if (sql.includes('insert into') && sql.includes('changetable')) {
      this.told.push(`move after ${String(parameters['tracked'])}`)
      this.meanwhile?.()
    }
    if (sql.startsWith('update')) {
      this.told.push(`tracked ${String(parameters['version'])}`)
      this.now = { ...this.now, tracked: String(parameters['version']), from: String(parameters['began']) }
    }
    return []
  }

  async load(): Promise<void> {}

  async transaction<T>(work: () => Promise<T>, isolation?: 'snapshot'): Promise<T> {
    this.told.push(isolation ?? 'read committed')
    return work()
  }

  qualify(table: string): string {
    return table
  }
}

async function move(session: Versioned, tracking = new Tracking(session)): Promise<string[]> {
  await tracking.move(plan)
  return session.told.splice(0)
}

t.test('changes are moved in one snapshot, and the version from before is remembered', async (t) => {
  const session = new Versioned()
  session.meanwhile = () => (session.now.version = '20')
  t.same(await move(session), ['snapshot', 'move after 10', 'tracked 12'])
})

t.test('nothing is asked for while the version stands still; it is written down even where nothing changed', async (t) => {
  const session = new Versioned()
  session.changes = 0
  const tracking = new Tracking(session)
  t.same(await move(session, tracking), ['snapshot', 'tracked 12'])
  t.same(await move(session, tracking), [])
  session.now.version = '13'
  t.same(await move(session, tracking), ['snapshot'], 'looked for, not written down again within the hour')
})

t.test('what is forgotten, cut off or restored asks for a snapshot', async (t) => {
  const cases: [string, Partial<Versions>][] = [
    ['beyond the retention', { least: '11' }],
    ['TRUNCATE, or off and on', { began: '12' }],
    ['an older backup', { version: '9' }],
  ]
  for (const [name, versions] of cases) {
    const session = new Versioned(versions)
    t.same(await move(session), ['snapshot', 'mark', `tracked ${session.now.version}`], name)
  }
  const more = new Versioned()
  more.changes = 1001
  t.same(await move(more), ['snapshot', 'mark', 'tracked 12'], 'more than the queue may hold')
  const cleaned = new Versioned()
  cleaned.meanwhile = () => (cleaned.now.least = '11')
  t.same(await move(cleaned), ['snapshot', 'move after 10', 'mark', 'tracked 12'], 'cleaned up while it was read')
})

t.test('TRUNCATE is noticed though no transaction has a new version', async (t) => {
  const session = new Versioned()
  const tracking = new Tracking(session)
  await move(session, tracking)
  session.now = { ...session.now, began: '12', least: '12' }
  t.same(await move(session, tracking), ['snapshot', 'mark', 'tracked 12'])
  t.same(await move(session, tracking), [], 'once')
})

t.test('a table that is not tracked is not set up', async (t) => {
  for (const versions of [{ tracked: null }, { began: null }, { least: null }]) {
    await t.rejects(move(new Versioned(versions)), { code: 'QZ-SOURCE-NOT-SET-UP' })
  }
})
