import t from 'tap'
import {
  answerLimits,
  failure,
  openAnswer,
  openAsk,
  questionOf,
  replyKey,
  sealAnswer,
  signAsk,
  type Outcome,
  type PreviewAnswer,
  type PreviewQuestion,
  type Question,
} from '../../protocol/asks.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { generateSigningKey, signStatement } from '../../protocol/signature.ts'

const hubKey = generateSigningKey()
const now = new Date('2026-11-22T08:00:00Z')
const asked = { ask: 'a1', agent: 'civil-1', expires: '2026-11-22T08:00:20Z', reply: replyKey().reply }

const preview: PreviewQuestion = {
  kind: 'preview',
  resource: 'villages',
  schema: {
    resource: 'villages',
    version: 1,
    title: '村居名录',
    agency: 'civil',
    table: 'villages',
    items: [{ id: 'code', name: 'code', label: '区划代码', type: 'text', length: 12, key: true, openness: 'public' }],
  },
  items: ['code'],
  rows: 20,
}
const shown: PreviewAnswer = { items: ['code'], rows: [['441900003001'], [null]], faults: [], warned: 0, omitted: 0 }

t.test('an ask is for one agent, from the pinned hub, for a time', async (t) => {
  const questions: Question[] = [
    preview,
    { ...preview, filter: [{ item: 'code', value: null }] },
    { kind: 'describe' },
    { kind: 'describe', database: 'd', table: 's.t' },
  ]
  for (const question of questions) {
    const jws = signAsk(asked, question, hubKey)
    const ask = openAsk(jws, hubKey.publicKey, 'civil-1', now)
    t.match(ask, { ...asked, kind: question.kind })
    t.match(questionOf(ask!), question)
    t.equal(openAsk(jws, hubKey.publicKey, 'civil-2', now), undefined, 'another agent')
    t.equal(openAsk(jws, generateSigningKey().publicKey, 'civil-1', now), undefined, 'another hub')
    t.equal(openAsk(jws, hubKey.publicKey, 'civil-1', new Date('2026-11-22T08:00:20Z')), undefined, 'expired')
  }
  const policy = signStatement(hubKey, 'qz-policy', { ...asked, kind: 'describe' })
  t.equal(openAsk(policy, hubKey.publicKey, 'civil-1', now), undefined, 'another statement')
  t.equal(openAsk(signAsk({ ...asked, expires: 'never' }, preview, hubKey), hubKey.publicKey, 'civil-1', now), undefined, 'no time')
  t.equal(openAsk(signAsk({ ...asked, reply: 'short' }, preview, hubKey), hubKey.publicKey, 'civil-1', now), undefined, 'no key')
})

t.test('a question of an unknown kind or shape is refused, and answered so', async (t) => {
  const wrong = [
    { kind: 'upload' },
    { ...preview, rows: 21 },
    { ...preview, rows: 0 },
    { ...preview, schema: { items: [] } },
    { kind: 'preview' },
  ]
  for (const question of wrong) {
    const ask = openAsk(signAsk(asked, question as Question, hubKey), hubKey.publicKey, 'civil-1', now)
    t.throws(() => questionOf(ask!), { code: 'QZ-REQUEST-INVALID' })
  }
})

t.test('an answer opens only with the secret of its ask', async (t) => {
  const { reply, secret } = replyKey()
  const answer: Outcome = { answer: shown }
  const sealed = sealAnswer({ ask: 'a1', reply }, answer)
  t.same(openAnswer(sealed, secret, preview), shown)
  t.notMatch(JSON.stringify(sealed), '441900003001', 'sealed')
  t.notMatch(Buffer.from(sealed.box, 'base64url').toString('latin1'), '441900003001', 'sealed')
  const again = sealAnswer({ ask: 'a1', reply }, answer)
  t.not(again.key, sealed.key, 'a new key each time')
  t.not(again.nonce, sealed.nonce)
  const flipped = Buffer.from(sealed.box, 'base64url')
  flipped[20]! ^= 1
  const wrong = [
    { ...sealed, box: flipped.toString('base64url') },
    { ...sealed, key: again.key },
    { ...sealed, nonce: again.nonce },
    { ...sealed, key: '' },
    { ...sealed, nonce: '' },
    { ...sealed, box: '' },
  ]
  for (const changed of wrong) t.throws(() => openAnswer(changed, secret, preview), { code: 'QZ-REQUEST-INVALID' })
  t.throws(() => openAnswer(sealed, replyKey().secret, preview), { code: 'QZ-REQUEST-INVALID' })
})

t.test('an answer must be one to the question', async (t) => {
  const { reply, secret } = replyKey()
  const open = (outcome: object, question: Question) => openAnswer(sealAnswer({ ask: 'a', reply }, outcome as Outcome), secret, question)
  const columns = { database: 'd', table: 't', columns: [], sampled: 0 }
  t.same(open({ answer: columns }, { kind: 'describe', table: 't' }), columns)
  const tables = { tables: [], more: false, faults: [] }
  t.same(open({ answer: tables }, { kind: 'describe' }), tables)
  const [checks, lines] = [{ checks: [{ name: 'hub', ok: true, zh: '正常', en: 'good' }] }, { lines: ['{}'] }]
  t.same(open({ answer: checks }, { kind: 'doctor' }), checks)
  t.same(open({ answer: lines }, { kind: 'log', lines: 1 }), lines)
  for (const kind of ['pause', 'resume', 'confirm'] as const) t.same(open({ answer: { done: true } }, { kind, name: 'r' }), { done: true })
  for (const [answer, question] of [
    [lines, { kind: 'doctor' }],
    [checks, { kind: 'log', lines: 1 }],
    [{}, { kind: 'pause', name: 'r' }],
    [columns, { kind: 'describe' }],
    [tables, { kind: 'describe', table: 't' }],
    [tables, preview],
    [{ ...shown, rows: [[1]] }, preview],
    [null, preview],
  ] as const) {
    t.throws(() => open({ answer }, question), { code: 'QZ-REQUEST-INVALID' })
  }
  t.throws(() => open({}, preview), { code: 'QZ-REQUEST-INVALID' })
  t.throws(() => open({ error: { code: 'NONSENSE', details: {} } }, preview), { code: 'QZ-REQUEST-INVALID' })
})

t.test('the agent’s own error comes out as it went in', async (t) => {
  const { reply, secret } = replyKey()
  const open = (error: unknown) => openAnswer(sealAnswer({ ask: 'a', reply }, failure(error)), secret, preview)
  t.throws(() => open(new QianzhiError('QZ-SOURCE-TABLE', { table: 't', reason: 'it does not exist' })), {
    code: 'QZ-SOURCE-TABLE',
    message: 'Source table t cannot be used: it does not exist',
  })
  t.throws(() => open(new Error('odd')), { code: 'QZ-INTERNAL' })
})

t.test('an answer that is too large is none, and what may be sealed fits a request', async (t) => {
  const { reply, secret } = replyKey()
  const of = (bytes: number): Outcome => ({ answer: { ...shown, rows: [['x'.repeat(bytes)]] } })
  t.throws(() => openAnswer(sealAnswer({ ask: 'a', reply }, of(answerLimits.plain)), secret, preview), { code: 'QZ-BATCH-LIMIT' })
  const largest = sealAnswer({ ask: 'a', reply }, of(answerLimits.plain - 200))
  t.equal(openAnswer(largest, secret, preview).rows.length, 1)
  t.ok(JSON.stringify(largest).length < answerLimits.request)
})
