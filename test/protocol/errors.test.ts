import t from 'tap'
import {
  codedError,
  detailsFromWire,
  detailsToWire,
  errorCodes,
  errorForLog,
  errorKind,
  errorText,
  fromProblem,
  localizedReason,
  isErrorCode,
  QianzhiError,
  reasonOf,
  toProblem,
  type ErrorDetails,
} from '../../protocol/errors.ts'

const placeholders = (text: string): string[] => Array.from(text.matchAll(/\{(\w+)(?::\w+)?\}/g), (match) => match[1]!).toSorted()

t.test('every code is complete', async (t) => {
  for (const code of errorCodes) {
    const { status, who, retry, zh, en } = errorKind(code)
    t.match(code, /^QZ(-[A-Z]+)+$/, code)
    t.ok(status >= 400 && status < 600, `${code}: HTTP status`)
    t.ok(['provider', 'receiver', 'office', 'operator', 'requester', 'nobody'].includes(who), `${code}: who must act`)
    t.ok(retry || who !== 'nobody', `${code}: somebody must act, or a retry helps`)
    t.match(zh, /\p{Script=Han}/u, `${code}: Chinese`)
    t.notMatch(en, /[^\x20-\x7e]/, `${code}: English`)
    t.same(placeholders(zh), placeholders(en), `${code}: the same placeholders`)
  }
})

t.test('what concerns more than one stream', async (t) => {
  const of = (scope: string) => errorCodes.filter((code) => errorKind(code).scope === scope).toSorted()
  t.same(of('hub'), [
    'QZ-AGENT-REVOKED',
    'QZ-AGENT-UNKNOWN',
    'QZ-CLOCK-AGENT',
    'QZ-HUB-BUSY',
    'QZ-HUB-CERTIFICATE',
    'QZ-HUB-GATEWAY',
    'QZ-HUB-UNREACHABLE',
    'QZ-POLICY-EXPIRED',
    'QZ-POLICY-OLD',
    'QZ-POLICY-SIGNATURE',
    'QZ-REQUEST-CLOCK',
    'QZ-REQUEST-INVALID',
    'QZ-REQUEST-SIGNATURE',
    'QZ-VERSION',
  ])
  t.same(of('database'), [
    'QZ-AGENT-CLONED',
    'QZ-CHAIN-BROKEN',
    'QZ-DB-LOGIN',
    'QZ-DB-POOLED',
    'QZ-DB-READ-ONLY',
    'QZ-DB-UNREACHABLE',
    'QZ-INTERNAL',
  ])
})

t.test('an error travels as a problem and comes back', async (t) => {
  for (const code of errorCodes) {
    const details: ErrorDetails = Object.fromEntries(placeholders(errorKind(code).en).map((name, i) => [name, i % 2 ? i : `值 ${name}`]))
    const error = new QianzhiError(code, details)
    const problem = JSON.parse(JSON.stringify(toProblem(error))) as ReturnType<typeof toProblem>
    const back = fromProblem(problem)
    t.equal(back?.code, code)
    t.same(back?.details, details)
    t.equal(back?.message, error.message)
    t.equal(problem.title, error.message)
    t.equal(problem.type, `urn:qianzhi:error:${code}`)
    t.same({ status: problem.status, who: problem.who, retry: problem.retry }, pick(errorKind(code)))
    t.same(problem.detail, { zh: error.text('zh'), en: error.text('en') })
    t.notMatch(problem.detail.zh + problem.detail.en, /\{\w+\}/, `${code}: every placeholder is filled`)
  }
})

function pick({ status, who, retry }: ReturnType<typeof errorKind>) {
  return { status, who, retry }
}

t.test('what is no problem of ours is none', async (t) => {
  for (const body of [undefined, null, 1, 'QZ-INTERNAL', [], {}, { code: 'QZ-NONE' }, { code: 'toString' }, { code: 1 }]) {
    t.equal(fromProblem(body), undefined, JSON.stringify(body))
  }
  t.same(fromProblem({ code: 'QZ-ADMIN-KEY', details: null })?.details, {})
  t.notOk(isErrorCode('constructor'))
})

t.test('texts', async (t) => {
  t.equal(errorText('QZ-NOT-FOUND', {}, 'en'), '{what} does not exist', 'a missing detail shows')
  t.equal(errorText('QZ-NOT-FOUND', { what: '$& {what}' }, 'en'), '$& {what} does not exist', 'details are put in as they are')
  t.equal(new QianzhiError('QZ-NOT-FOUND', { what: '资源 x' }).text('zh'), '没有找到 资源 x')
})

t.test('a reason in both languages is shown in the reader’s, and travels', async (t) => {
  const reason = { zh: '不在有效期内', en: 'it is not in force' }
  const error = new QianzhiError('QZ-ROUTE-ENDED', { route: 'r', reason })
  t.match(error.text('zh'), /r 目前不交付：不在有效期内$/)
  t.equal(error.message, 'Route r gets nothing now: it is not in force')
  const problem = JSON.parse(JSON.stringify(toProblem(error))) as ReturnType<typeof toProblem>
  t.same(fromProblem(problem)?.details, { route: 'r', reason })
  t.same(problem.details, { route: 'r', reason: '不在有效期内 / it is not in force' }, 'a peer that knows only `details` shows both')
  t.same(detailsToWire({ route: 'r', n: 1 }), { details: { route: 'r', n: 1 } })
  t.equal(reasonOf(error, 'zh'), error.text('zh'))
})

t.test('of a peer’s details only texts and numbers are taken', async (t) => {
  const details = { a: 'a', n: 1, o: { toString: 1 }, z: null, l: [1] }
  const texts = { a: { zh: '甲', en: 'a' }, half: { zh: '甲' }, wrong: { zh: 1, en: 'a' } }
  t.same(detailsFromWire({ details, texts }), { a: { zh: '甲', en: 'a' }, n: 1 })
  t.same(detailsFromWire({ details: 'ab', texts: 7 }), {})
  t.same(detailsFromWire({ details: null }), {})
})

t.test('anything thrown becomes a coded error', async (t) => {
  const coded = new QianzhiError('QZ-ADMIN-KEY')
  t.equal(codedError(coded), coded)
  const cause = new Error('disk full')
  t.match(codedError(cause), { code: 'QZ-INTERNAL', details: { reason: 'disk full' }, cause })
  t.equal(reasonOf(new AggregateError([new Error('a'), new TypeError('b')], 'all')), 'a; b')
  t.equal(reasonOf(new AggregateError([], 'none')), 'none')
  t.equal(reasonOf(new RangeError('')), 'RangeError')
  t.equal(reasonOf(7), '7')
})

t.test('a reason behind a code: the server’s own words, or both languages', async (t) => {
  t.equal(localizedReason(new Error('disk full')), 'disk full')
  const wrapped = new QianzhiError('QZ-DB-UNREACHABLE', { database: 'd', reason: 'r' }, { cause: new Error('terminated') })
  t.equal(localizedReason(wrapped), 'terminated')
  const own = new QianzhiError('QZ-ROW-TOO-LARGE')
  t.same(localizedReason(own), { zh: own.text('zh'), en: own.text('en') })
})

t.test('a log line keeps code, message, stack and the cause in words, and nothing that a driver hangs on its errors', async (t) => {
  const driver = Object.assign(new Error('terminated'), { code: '57P01', client: { secretKey: 1, password: 'p' } })
  const line = errorForLog(new QianzhiError('QZ-DB-UNREACHABLE', { database: 'd', reason: 'r' }, { cause: driver }))
  t.match(line, { code: 'QZ-DB-UNREACHABLE', cause: 'terminated' })
  t.same(Object.keys(errorForLog(driver)).toSorted(), ['code', 'message', 'stack'])
  t.same(errorForLog('text'), { message: 'text' })
  t.same(
    errorForLog({ reason: { zh: '甲', en: 'a' } }),
    { message: '{"reason":{"zh":"甲","en":"a"}}' },
    'whatever was thrown, no [object Object]',
  )
  t.equal(reasonOf({ zh: '甲', en: 'a' }, 'zh'), '甲')
  t.ok(line.stack!.split('\n').length <= 2, 'what is told by its code needs few frames')
  t.notMatch(errorForLog(driver).stack, /node:/)
})

t.test('a moment is told in the city’s time, a number with what it counts', (t) => {
  const details = { expires: '2026-11-29T17:30:00.000Z' }
  t.match(errorText('QZ-POLICY-EXPIRED', details, 'zh'), /2026-11-30 01:30:00/)
  t.equal(new QianzhiError('QZ-POLICY-EXPIRED', details).details['expires'], details.expires, 'JSON keeps it as it was')
  const told = (remaining: number) => errorText('QZ-RECONCILE-DIFFERENT', { route: 'r', remaining }, 'en')
  t.match(told(1), /in 1 key$/)
  t.match(told(2), /in 2 keys$/)
  t.match(errorText('QZ-RECONCILE-DIFFERENT', { route: 'r' }, 'en'), /\{remaining:key\}/, 'what is missing stays visible')
  t.end()
})
