/** What of the SQL Server engine needs no server: types, values, URLs, literals, and every statement as a file to be read. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { openSqlserver } from '../../../../agent/databases/sqlserver/engine.ts'
import { columnReader, canReceive, shortestReal } from '../../../../agent/databases/sqlserver/types.ts'
import { watchSilence } from '../../../../agent/databases/sqlserver/keepalive.ts'
import { proposedType } from '../../../../agent/databases/sqlserver/proposal.ts'
import { connectionOptions } from '../../../../agent/databases/sqlserver/url.ts'
import { connectionCode, isContention, isLost, isMissing, isRowError, withNumber } from '../../../../agent/databases/sqlserver/errors.ts'
import { prepareRows } from '../../../../agent/databases/sqlserver/writing.ts'
import type { CatalogColumn } from '../../../../agent/databases/sqlserver/catalog.ts'
import type { RawValue } from '../../../../agent/databases/sqlserver/connection.ts'
import { quoteName, quoteText, spacesOf, stageValue } from '../../../../agent/databases/sqlserver/sql.ts'
import type { ValueLimits } from '../../../../protocol/value.ts'
import { at, licence, sinkOf, twoKeys } from '../conformance/fixture.ts'
import { transactSql } from './dialect.ts'

const chinese = 'Chinese_PRC_CI_AS'

function column(declared: string, changes: Partial<CatalogColumn> = {}): CatalogColumn {
  const [, type, first, second] = /^(\w+)(?:\((\w+)(?:,(\d+))?\))?$/.exec(declared)!
  const number = Number(first ?? 0)
  const isText = /char$|text$/.test(type!)
  const bytes = first === 'max' ? -1 : isText && type!.startsWith('n') ? 2 * number : number
  const isTime = /^(time|datetime2|datetimeoffset)$/.test(type!)
  return {
    column: 'c',
    automatic: false,
    type: type!,
    bytes,
    precision: number,
    scale: isTime ? number : Number(second ?? 0),
    nullable: true,
    collation: isText ? chinese : undefined,
    computed: false,
    identity: false,
    id: 1,
    defaulted: false,
    ...changes,
  }
}

const item = (limits: ValueLimits, key = false) => ({ id: 'i', name: 'i', label: 'i', openness: 'internal' as const, key, ...limits })

const reader = (declared: string, limits: ValueLimits, key = false, limit = 1 << 20) =>
  columnReader({ item: item(limits, key), column: 'c' }, column(declared), limit)

t.test('values become portable text', async (t) => {
  const cases: [string, ValueLimits, RawValue, string | undefined][] = [
    ['datetime2(6)', { type: 'timestamp' }, '2026-11-22 08:30:00.120000', '2026-11-22T08:30:00.12'],
    ['datetime', { type: 'timestamp' }, '2026-11-22 08:30:00.000', '2026-11-22T08:30:00'],
    ['datetime', { type: 'timestamp' }, '2026-11-22T08:30:00.003', '2026-11-22T08:30:00.003'],
    ['datetimeoffset(6)', { type: 'timestamptz' }, '2026-11-22 08:30:00.5000000', '2026-11-22T08:30:00.5Z'],
    ['datetimeoffset(6)', { type: 'timestamptz' }, '2026-11-22T08:30:00+00:00', '2026-11-22T08:30:00Z'],
    ['time(6)', { type: 'time' }, '08:30:00.500000', '08:30:00.5'],
    ['bit', { type: 'boolean' }, '1', 'true'],
    ['bit', { type: 'boolean' }, '0', 'false'],
    ['bigint', { type: 'integer' }, '9223372036854775807', '9223372036854775807'],
    ['decimal(20,0)', { type: 'integer' }, '99999999999999999999', undefined],
    ['decimal(12,2)', { type: 'decimal', precision: 12, scale: 2 }, '-0.50', '-0.50'],
    ['decimal(12,2)', { type: 'decimal', precision: 5, scale: 2 }, '12345.00', undefined],
    ['money', { type: 'decimal', precision: 19, scale: 4 }, '1.5000', '1.5000'],
    ['float', { type: 'text' }, 0.1, '0.1'],
    ['real', { type: 'text' }, Math.fround(0.1), '0.1'],
    ['nvarchar(20)', { type: 'text', length: 2 }, '𠮷𠮷', '𠮷𠮷'],
    ['nvarchar(20)', { type: 'text', length: 2 }, 'abc', undefined],
    ['nvarchar(20)', { type: 'text', length: 20 }, 'a\0b', undefined],
    ['nvarchar(max)', { type: 'json' }, '{"a":1}', '{"a":1}'],
    ['nvarchar(max)', { type: 'json' }, '{', undefined],
    ['varbinary(20)', { type: 'binary' }, Buffer.from([0, 255]), 'AP8='],
    ['uniqueidentifier', { type: 'text', length: 36 }, 'B1A2…'.slice(0, 4), 'B1A2'],
  ]
  for (const [declared, limits, raw, text] of cases) t.equal(reader(declared, limits)!.convert(raw), text, `${declared} ${String(raw)}`)
})

t.test('what would lose something is refused by name', async (t) => {
  const refused: [string, ValueLimits][] = [
    ['datetime2(7)', { type: 'timestamp' }],
    ['datetimeoffset(7)', { type: 'timestamptz' }],
    ['time(7)', { type: 'time' }],
    ['datetime', { type: 'date' }],
    ['float', { type: 'decimal', precision: 38, scale: 10 }],
    ['int', { type: 'boolean' }],
    ['sql_variant', { type: 'text' }],
    ['hierarchyid', { type: 'text' }],
    ['geometry', { type: 'binary' }],
    ['money', { type: 'decimal', precision: 19, scale: 2 }],
    ['rowversion', { type: 'integer' }],
  ]
  for (const [declared, limits] of refused) t.equal(reader(declared, limits), undefined, declared)
  for (const declared of ['float', 'real', 'xml', 'ntext', 'nvarchar(max)'])
    t.equal(reader(declared, { type: 'text', length: 40 }, true), undefined, declared)
})

t.test('texts are read as nvarchar, and sought in the column’s own type and collation', async (t) => {
  const select = (declared: string) => reader(declared, { type: 'text' })!.select('t.[c]')
  t.equal(select('nvarchar(20)'), 't.[c]')
  t.equal(select('varchar(20)'), 'convert(nvarchar(20), t.[c])')
  t.equal(select('varchar(8000)'), 'convert(nvarchar(max), t.[c])')
  t.equal(select('nchar(5)'), 'rtrim(convert(nvarchar(5), t.[c]))')
  t.equal(select('ntext'), 'convert(nvarchar(max), t.[c])')
  const sought = (declared: string, limits: ValueLimits = { type: 'text' }) => reader(declared, limits)!.fromText('@k')
  t.equal(sought('nvarchar(20)'), `@k collate ${chinese}`)
  t.equal(sought('varchar(20)'), `convert(varchar(8000), @k collate ${chinese})`)
  t.equal(sought('datetime', { type: 'timestamp' }), 'try_cast(try_cast(@k as datetime2(3)) as datetime)')
  t.equal(sought('decimal(12,2)', { type: 'decimal', precision: 12, scale: 2 }), 'try_cast(@k as decimal(12,2))')
})

t.test('the limit of a value counts UTF-8 bytes; what is surely over it stays on the server', async (t) => {
  t.equal(reader('nvarchar(300)', { type: 'text' }, false, 1000)!.over, undefined)
  t.equal(reader('nvarchar(400)', { type: 'text' }, false, 1000)!.over!('x'), 'datalength(x) > 2000')
  t.equal(reader('varbinary(max)', { type: 'binary' }, false, 1000)!.over!('x'), 'datalength(x) > 1000')
})

t.test('proposals supply what the column holds', async (t) => {
  const proposed = (declared: string, key = false, made?: number) => proposedType(column(declared), key, made)
  t.same(proposed('nvarchar(24)', false, 12), { type: 'text', length: 12 }, 'made by supplyTable for twelve characters')
  t.same(proposed('nvarchar(24)'), { type: 'text', length: 24 })
  t.same(proposed('nvarchar(300)', true), { type: 'text', length: 190 })
  t.same(proposed('decimal(18,0)'), { type: 'integer' })
  t.same(proposed('decimal(19,0)'), { type: 'decimal', precision: 19, scale: 0 })
  t.same(proposed('smallmoney'), { type: 'decimal', precision: 10, scale: 4 })
  t.same(proposed('uniqueidentifier', true), { type: 'text', length: 36 })
  t.equal(proposed('datetime2(7)'), undefined)
  t.equal(proposed('sql_variant'), undefined)
})

t.test('a delivered column that would change a value without a word is refused', async (t) => {
  const receives = (declared: string, limits: ValueLimits, changes = {}) => canReceive(item(limits), column(declared, changes))
  t.notOk(receives('varchar(100)', { type: 'text', length: 10 }), 'a code page has not every character')
  t.ok(receives('varchar(100)', { type: 'text', length: 10 }, { collation: 'Latin1_General_100_CI_AS_SC_UTF8' }))
  t.ok(receives('nvarchar(10)', { type: 'text', length: 10 }), 'what is longer is refused by the server')
  t.notOk(receives('nvarchar(9)', { type: 'text', length: 10 }))
  t.notOk(receives('datetime', { type: 'timestamp' }))
  t.notOk(receives('datetime2(3)', { type: 'timestamp' }))
  t.ok(receives('datetime2(7)', { type: 'timestamp' }))
  t.notOk(receives('decimal(12,1)', { type: 'decimal', precision: 12, scale: 2 }))
  t.notOk(receives('nchar(10)', { type: 'text', length: 10 }))
})

t.test('names and literals', async (t) => {
  t.equal(quoteName('a]b[c'), '[a]]b[c]')
  t.equal(quoteText(`it's 许\n`), `N'it''s 许\n'`)
  t.equal(quoteText('a\\\nb\\\r\n'), `(N'a\\' + N'\nb\\' + N'\r\n')`, 'a backslash before a line end would swallow both')
  t.equal(quoteText('\\n'), `N'\\n'`)
})

t.test('trailing spaces of keys are told apart by their number', async (t) => {
  const { columns } = sinkOf(twoKeys)
  t.equal(spacesOf(columns, ['1', 'a']), '')
  t.equal(spacesOf(columns, ['1', 'a  ']), '2')
  t.equal(spacesOf(sinkOf(licence).columns, [' ']), '1')
})

t.test('values as they come to the server', async (t) => {
  t.equal(stageValue({ type: 'timestamptz' }, '2026-11-22T08:30:00.5Z'), '2026-11-22T08:30:00.5+00:00')
  t.equal(stageValue({ type: 'boolean' }, 'true'), '1')
  t.same(stageValue({ type: 'binary' }, 'AP8='), Buffer.from([0, 255]))
  t.equal(stageValue({ type: 'text' }, null), null)
})

t.test('a real is written in the shortest form that comes back to it', async (t) => {
  for (const value of [0.1, 1 / 3, 16777216, 3.4028235e38, 1e-45, -2.5, 123456.79]) {
    const real = Math.fround(value)
    t.equal(Math.fround(Number(shortestReal(real))), real, shortestReal(real))
  }
})

t.test('a batch is made ready: the last row of a key, what cannot be written set aside', async (t) => {
  const sink = sinkOf(licence)
  const columns = [
    ['a', 'b', 'a', 'c', 'd'],
    ['1', '2', '3', '4', null],
    ['1.00', 'x', '2.00', '1.005', 'none'],
  ]
  const batch = prepareRows(sink, { from: null, to: at(1), rows: 5, columns, ops: ['u', 'u', 'u', 'u', 'd'] })
  t.same(batch.upserts, [2])
  t.same(batch.deletes, [4], 'of a delete only the key counts')
  t.same(
    batch.faults.map(({ key, code }) => [key[0], code]),
    [
      ['b', 'QZ-ROW-REFUSED'],
      ['c', 'QZ-ROW-REFUSED'],
    ],
  )
})

t.test('the URL', async (t) => {
  t.match(connectionOptions('sqlserver://sa:p%40ss@db.example:1444/front?trustServerCertificate=true', 'qianzhi'), {
    server: 'db.example',
    authentication: { type: 'default', options: { userName: 'sa', password: 'p@ss' } },
    options: { port: 1444, database: 'front', encrypt: true, trustServerCertificate: true },
  })
  const named = connectionOptions('mssql://u:p@host/front?instance=SQL2012&encrypt=false&tls=old&domain=GOV', 'qianzhi')
  t.match(named, { authentication: { type: 'ntlm' }, options: { instanceName: 'SQL2012', encrypt: false } })
  t.match(named.options, { cryptoCredentialsDetails: { minVersion: 'TLSv1' } })
  t.notOk('port' in named.options!, 'the instance’s port is asked of the server')
  t.equal(connectionOptions('sqlserver://u:p@host/x?encrypt=strict', 'qianzhi').options!.encrypt, 'strict')
})

t.test('error numbers', async (t) => {
  const error = (number: number, severity = 16) => Object.assign(new Error('x'), { number, class: severity, code: 'EREQUEST' })
  for (const number of [2627, 2601, 547, 515, 8152, 2628, 8115, 245, 3609, 50_001]) t.ok(isRowError(error(number)), String(number))
  for (const number of [1205, 1222, 3960]) t.ok(isContention(error(number)) && !isRowError(error(number)), String(number))
  for (const number of [207, 208]) t.ok(isMissing(error(number)), String(number))
  t.ok(isRowError(new AggregateError([error(2627), error(3621)])), 'the first of several messages')
  t.ok(isLost(Object.assign(new Error('x'), { code: 'ESOCKET' })))
  t.ok(isLost(error(596, 21)))
  t.notOk(isLost(error(2627)))
  t.equal(connectionCode(error(3906)), 'QZ-DB-READ-ONLY')
  t.equal(connectionCode(error(9002)), 'QZ-DB-UNREACHABLE')
  const login = (...said: number[]) => connectionCode(withNumber(Object.assign(new Error('Login failed'), { code: 'ELOGIN' }), said))
  t.equal(login(), 'QZ-DB-RIGHTS')
  t.equal(login(18456), 'QZ-DB-RIGHTS')
  t.equal(login(927, 4060, 18456), 'QZ-DB-UNREACHABLE', 'the database is being restored')
  t.equal(login(983, 4060), 'QZ-DB-UNREACHABLE', 'a secondary')
  t.equal(login(18401), 'QZ-DB-UNREACHABLE', 'the server is starting')
})

t.test('a server that is not there is a coded error, and one that breaks off too', async (t) => {
  const closing = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  t.teardown(() => closing.close())
  await once(closing, 'listening')
  for (const port of [1, (closing.address() as AddressInfo).port]) {
    const database = await openSqlserver({ name: 'front', url: `sqlserver://sa:x@127.0.0.1:${port}/front`, pace: 5 })
    for (const open of [() => database.openCapture([]), () => database.openReading(), () => database.openDelivery([])]) {
      await t.rejects(async () => void (await open()), { code: 'QZ-DB-UNREACHABLE' })
    }
    await database.close()
  }
})

t.test('a silent session is given up when its lock is free, not before, and not after its answer', async (t) => {
  // The watch alone keeps no program running.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  const answers = [false, false, true]
  let asked = 0
  await new Promise<void>((lost) => void watchSilence(async () => answers[asked++]!, lost, 1))
  t.equal(asked, 3)
  let stop = (): void => {}
  const answered = new Promise<void>((resolve) => {
    const probe = async (): Promise<boolean> => {
      stop()
      setImmediate(resolve)
      return true
    }
    stop = watchSilence(probe, () => t.fail('the answer had come'), 1)
  })
  await answered
})

t.test('the suite’s SQL in Transact-SQL', async (t) => {
  t.equal(transactSql('begin'), 'begin transaction')
  t.equal(transactSql(`insert into own values ('a''s begin', N'许', true)`), `insert into own values (N'a''s begin', N'许', 1)`)
  t.equal(transactSql('select char_length(name) from d where not qz_deleted'), 'select len(name) from d where qz_deleted = 0')
  t.equal(transactSql('alter table delivered rename to away'), `exec sp_rename N'delivered', N'away'`)
  t.equal(transactSql('create table delivered as select * from away'), 'select * into delivered from away')
  t.equal(
    transactSql(`select id from delivered where id = 'k1' for update skip locked`),
    `select id from delivered with (updlock, readpast) where id = N'k1'`,
  )
  const many = transactSql(`insert into licence values ${Array.from({ length: 2500 }, (_, i) => `('k${i}', 'n', ${i})`).join(',')}`)
  t.same(
    many.split(';\n').map((one) => one.split('),(').length),
    [1000, 1000, 500],
  )
})
