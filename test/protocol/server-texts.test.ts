/** No text of a database server brings a value of a row into a log or a report; names of things stay. Real errors where a server can be had. */
import fc from 'fast-check'
import mysql from 'mysql2/promise'
import pg from 'pg'
import t from 'tap'
import { errorForLog, QianzhiError, reasonOf, rowReason } from '../../protocol/errors.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'

const secret = '441900199001011234'

function told(error: unknown): string {
  const coded = new QianzhiError('QZ-DB-UNREACHABLE', { database: 'front', reason: reasonOf(error) }, { cause: error })
  return [reasonOf(error), JSON.stringify(errorForLog(error)), JSON.stringify(errorForLog(coded)), coded.text('zh')].join('\n')
}

/** Each statement is refused; what stays of what the server said. */
async function refusedAll(t: Tap, run: (sql: string) => Promise<unknown>, statements: [string, RegExp][]): Promise<void> {
  for (const [sql, stays] of statements) {
    const error = await run(sql).then(
      () => undefined,
      (error: unknown) => error,
    )
    t.ok(error, `refused: ${sql}`)
    t.notMatch(told(error), secret, sql)
    t.match(told(error), stays, sql)
  }
}
type Tap = Pick<typeof t, 'ok' | 'match' | 'notMatch'>

t.test('PostgreSQL', async (t) => {
  const server = await findPostgres()
  const client = new pg.Client({ connectionString: await server.createDatabase() })
  await client.connect()
  t.teardown(async () => {
    await client.end()
    await server.stop()
  })
  await client.query(
    `create table person (id text primary key, age smallint, born date, short varchar(3), mood text check (mood <> '${secret}'))`,
  )
  await client.query(`create function raising() returns trigger language plpgsql as $$ begin raise exception 'id %', new.id; end $$`)
  await client.query(`insert into person values ('${secret}')`)
  await refusedAll(t, (sql) => client.query(sql), [
    [`insert into person values ('${secret}')`, /person_pkey.*23505/],
    [`insert into person values ('1', '${secret}')`, /smallint/],
    [`insert into person (id, age) values ('1', '${secret}x')`, /smallint.*SQLSTATE 22/],
    [`insert into person (id, born) values ('1', 'a"b ${secret} c"d')`, /date.*22007/],
    [`insert into person (id, short) values ('1', '${secret}')`, /varying\(3\)/],
    [`insert into person (id, mood) values ('1', '${secret}')`, /person_mood_check/],
    [`select * from nothing_there`, /nothing_there.*42P01/],
  ])
  await client.query(`create trigger raising before insert on person for each row execute function raising()`)
  await refusedAll(t, (sql) => client.query(sql), [[`insert into person values ('${secret}1')`, /SQLSTATE P0001/]])
  const error: unknown = await client.query(`insert into person values ('${secret}1')`).catch((error: unknown) => error)
  t.match(rowReason(error), `id ${secret}1`, 'whoever may see the row reads all of it')
})

const mariadb = await findMariadb()
t.test('MariaDB', { skip: mariadb ? false : 'no MariaDB server can be reached' }, async (t) => {
  const url = await mariadb!.createDatabase()
  const client = await mysql.createConnection({ uri: url, multipleStatements: true })
  t.teardown(async () => {
    await client.end()
    await mariadb!.dropDatabase(url)
  })
  await client.query(`create table person (id varchar(40) primary key, age smallint, born date, short varchar(3), j json)`)
  await client.query(`insert into person (id) values ('${secret}'), ('it''s ${secret}')`)
  await refusedAll(t, (sql) => client.query(sql), [
    [`insert into person (id) values ('${secret}')`, /entry '…' for key .*PRIMARY/],
    [`insert into person (id) values ('it''s ${secret}')`, /for key/],
    [`insert into person (id, age) values ('1', '${secret}x')`, /for column.*age/],
    [`insert into person (id, born) values ('1', '${secret}')`, /for column.*born/],
    [`insert into person (id, short) values ('1', '${secret}')`, /short/],
    [`signal sqlstate '45000' set message_text = '${secret}'`, /SQLSTATE 45000/],
  ])
})

t.test('SQL Server and Oracle, as their documentation gives the texts', async (t) => {
  const sqlServer = (number: number, message: string) => Object.assign(new Error(message), { number, class: 14 })
  const oracle = (errorNum: number, message: string) => Object.assign(new Error(message), { errorNum })
  const errors: [Error, RegExp][] = [
    [
      sqlServer(
        2627,
        `Violation of PRIMARY KEY constraint 'PK_person'. Cannot insert duplicate key in object 'dbo.person'. The duplicate key value is (${secret}, a).`,
      ),
      /PK_person.*dbo\.person/,
    ],
    [sqlServer(245, `Conversion failed when converting the varchar value '${secret}x' to data type int.`), /varchar.*int/],
    [
      sqlServer(2628, `String or binary data would be truncated in table 'person', column 'short'. Truncated value: '${secret}'.`),
      /'short'/,
    ],
    [sqlServer(50001, `id ${secret}`), /50001/],
    [
      oracle(
        1,
        `ORA-00001: unique constraint (APP.PK) violated on table APP.PERSON columns (ID) row with column values (ID:'${secret}') already exists`,
      ),
      /APP\.PK.*APP\.PERSON/,
    ],
    [oracle(1722, `ORA-01722: unable to convert string value containing '${secret}' to a number: AGE`), /AGE/],
    [oracle(20_001, `ORA-20001: id ${secret}`), /ORA-20001/],
  ]
  for (const [error, stays] of errors) {
    t.notMatch(told(error), secret, error.message)
    t.match(told(error), stays)
  }
})

t.test('whatever the value is', async (t) => {
  const value = fc.string({ unit: 'binary' }).map((text) => `⟦${text}⟧`)
  fc.assert(
    fc.property(value, (value) => {
      const errors = [
        Object.assign(new Error(`invalid input syntax for type integer: "${value}"`), { code: '22P02', severity: 'ERROR' }),
        Object.assign(new Error(`Duplicate entry '${value}' for key 'PRIMARY'`), { sqlState: '23000', errno: 1062 }),
        Object.assign(new Error(`Incorrect string value: '${value}' for column \`d\`.\`t\`.\`c\` at row 1`), {
          sqlState: '22007',
          errno: 1366,
        }),
      ]
      return errors.every((error) => !reasonOf(error).includes('⟦') && !errorForLog(error).message.includes('⟦'))
    }),
  )
  t.pass('100 values in three texts')
})
