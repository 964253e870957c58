/** An account whose login is refused is tried ever more rarely. */
import { randomBytes } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import t from 'tap'
import { LoginPause } from '../../../agent/databases/bookkeeping/login-pause.ts'
import { openMysql } from '../../../agent/databases/mysql/engine.ts'
import { findMariadb } from '../../support/mariadb.ts'

t.test('a locked account takes ten tries: the tenth comes after hours, and a good login ends it', async (t) => {
  let [now, right] = [0, false]
  const tried: number[] = []
  const logins = new LoginPause(
    (error) => (error as Error).message === 'refused',
    () => now,
  )
  const open = () =>
    logins.open(async () => {
      tried.push(now)
      if (!right) throw new Error('refused')
      return 'session'
    })
  const said = new Set<string>()
  for (; tried.length < 10; now += 10_000) await open().catch(({ message }: Error) => said.add(message))
  t.same([...said], ['refused'], 'whether it was asked or not')
  t.ok(tried.at(-1)! > 2 * 3_600_000, `tried at ${tried.map((at) => at / 1000).join(', ')} s`)
  right = true
  now += 1_800_000
  t.equal(await open(), 'session')
  right = false
  const before = tried.length
  for (let i = 0; i < 3; i++) await open().catch(() => {})
  t.equal(tried.length - before, 3, 'and a few tries are made at once again')
  const other = new LoginPause(
    () => false,
    () => now,
  )
  for (let i = 0; i < 5; i++) await other.open(async () => Promise.reject(new Error('away'))).catch(() => tried.push(-1))
  t.equal(tried.filter((at) => at === -1).length, 5)
})

const mariadb = await findMariadb()
t.test('a wrong password is a refused login', { skip: mariadb ? false : 'no MariaDB' }, async (t) => {
  const own = await mariadb!.createDatabase()
  const url = new URL(own)
  url.username = `nobody_${randomBytes(4).toString('hex')}`
  url.password = 'wrong'
  const database = await openMysql({ name: 'front', url: url.href, pace: 50 })
  for (let i = 0; i < 3; i++) await t.rejects(database.openReading(), { code: 'QZ-DB-LOGIN' })
  const root = await createConnection(own)
  await root.query(`create user ${url.username}@'%' identified by 'wrong'`)
  await root.query(`grant all on \`${url.pathname.slice(1)}\`.* to ${url.username}@'%'`)
  await (await createConnection(url.href)).end()
  await t.rejects(database.openReading(), { code: 'QZ-DB-LOGIN', message: /denied/i }, 'not asked again, though it would be let in')
  await root.query(`drop user ${url.username}@'%'`)
  await root.end()
  await mariadb!.dropDatabase(url.pathname.slice(1))
})
