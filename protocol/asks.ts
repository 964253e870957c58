import nacl from 'tweetnacl'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { codedError, detailsFromWire, detailsToWire, isErrorCode, QianzhiError, type ErrorCode, type WireDetails } from './errors.ts'
import { identifierKinds } from './identifiers.ts'
import { ReconcileAnswer, ReconcileQuestion } from './reconciliation.ts'
import { Schema, subjectRoles } from './schema.ts'
import { signStatement, verifyStatement, type SigningKey } from './signature.ts'
import { valueTypes } from './value.ts'

/**
 * What the hub asks of an agent (SPEC section 5). An ask rides in the answer to a poll as a statement that the hub signed; the agent
 * answers once, sealed to a key that only the asking hub process holds, so that rows shown once are never stored in clear.
 */

const Value = Type.Union([Type.String(), Type.Null()])

/** Rows of a configured source, exactly as a batch of a grant of these items would carry them. */
export const PreviewQuestion = Type.Object({
  kind: Type.Literal('preview'),
  /** Code of the resource, by which the agent finds the configured source. */
  resource: Type.String({ maxLength: 64 }),
  /** As it is, or as a draft will make it. */
  schema: Schema,
  /** Items granted; the key comes with them, closed ones never do. */
  items: Type.Array(Type.String({ maxLength: 30 }), { maxItems: 400 }),
  rows: Type.Integer({ minimum: 1, maximum: 20 }),
  /** Only rows whose items have these values. */
  filter: Type.Optional(Type.Array(Type.Object({ item: Type.String({ maxLength: 30 }), value: Value }), { maxItems: 10 })),
})
export type PreviewQuestion = Static<typeof PreviewQuestion>

/** The agent's tables and views; with `table` the columns of one, in a `database` as its configuration calls it. */
export const DescribeQuestion = Type.Object({
  kind: Type.Literal('describe'),
  database: Type.Optional(Type.String({ maxLength: 100 })),
  table: Type.Optional(Type.String({ maxLength: 300 })),
})
export type DescribeQuestion = Static<typeof DescribeQuestion>

/** What `qianzhi-agent doctor` finds. */
export const DoctorQuestion = Type.Object({ kind: Type.Literal('doctor') })
export type DoctorQuestion = Static<typeof DoctorQuestion>

/** The last lines of the running agent's log. */
export const LogQuestion = Type.Object({ kind: Type.Literal('log'), lines: Type.Integer({ minimum: 1, maximum: 500 }) })
export type LogQuestion = Static<typeof LogQuestion>

/** The line of a resource or route is to stop until it is resumed; or a source's held deletes are meant. */
export const OperateQuestion = Type.Object({
  kind: Type.Enum(['pause', 'resume', 'confirm']),
  name: Type.String({ minLength: 1, maxLength: 128 }),
})
export type OperateQuestion = Static<typeof OperateQuestion>

export type Question = PreviewQuestion | DescribeQuestion | DoctorQuestion | LogQuestion | OperateQuestion | ReconcileQuestion

export const PreviewAnswer = Type.Object({
  /** Ids of the items of each row's values, in order. */
  items: Type.Array(Type.String()),
  rows: Type.Array(Type.Array(Value)),
  /** Rows that cannot be sent: key and code, and the item where it is one of `items`. */
  faults: Type.Array(Type.Object({ key: Type.Array(Value), code: Type.String(), item: Type.Optional(Type.String()) })),
  /** Rows among `rows` of which a check warns. */
  warned: Type.Integer({ minimum: 0 }),
  /** Rows left out because the answer would be too large. */
  omitted: Type.Integer({ minimum: 0 }),
})
export type PreviewAnswer = Static<typeof PreviewAnswer>

/** The rows from the first on that together stay within so many bytes. */
export function fitting(rows: readonly (string | null)[][], bytes: number): (string | null)[][] {
  const told: (string | null)[][] = []
  for (const row of rows) {
    bytes -= Buffer.byteLength(JSON.stringify(row))
    if (bytes < 0) break
    told.push(row)
  }
  return told
}

export const TablesAnswer = Type.Object({
  tables: Type.Array(
    Type.Object({
      database: Type.String(),
      /** As the agent's configuration would name it. */
      table: Type.String(),
      view: Type.Boolean(),
      comment: Type.String(),
      /** The engine's own estimate; null where it has none. */
      rows: Type.Union([Type.Number(), Type.Null()]),
    }),
  ),
  /** True where there are more than are listed. */
  more: Type.Boolean(),
  /** Databases that could not be asked. */
  faults: Type.Array(Type.Object({ database: Type.String(), code: Type.String(), zh: Type.String(), en: Type.String() })),
})
export type TablesAnswer = Static<typeof TablesAnswer>

/** A column as it could be registered as an item. */
export const ProposedColumn = Type.Object({
  column: Type.String(),
  comment: Type.String(),
  /** Native type, for people. */
  native: Type.String(),
  nullable: Type.Boolean(),
  key: Type.Boolean(),
  /** What holds all its values; absent where it cannot supply an item without loss. */
  type: Type.Optional(
    Type.Object({
      type: Type.Enum([...valueTypes]),
      length: Type.Optional(Type.Integer()),
      precision: Type.Optional(Type.Integer()),
      scale: Type.Optional(Type.Integer()),
    }),
  ),
  role: Type.Optional(Type.Enum([...subjectRoles])),
  /** Recognised in samples, which stay at the agent. `when`: the column that says of which type the certificate is. */
  check: Type.Optional(Type.Object({ kind: Type.Enum([...identifierKinds]), when: Type.Optional(Type.String()) })),
})
export type ProposedColumn = Static<typeof ProposedColumn>

export const ColumnsAnswer = Type.Object({
  database: Type.String(),
  table: Type.String(),
  /** The table's own comment; absent where it has none. */
  comment: Type.Optional(Type.String()),
  columns: Type.Array(ProposedColumn),
  /** What was assumed, and what could not be looked at. */
  notes: Type.Optional(Type.Array(Type.Object({ zh: Type.String(), en: Type.String() }))),
  /** Rows looked at for proposals; 0 where the table is empty or could not be read within its time. */
  sampled: Type.Integer({ minimum: 0 }),
})
export type ColumnsAnswer = Static<typeof ColumnsAnswer>

const Title = Type.Object({ zh: Type.String(), en: Type.String() })

/** Of each check its `name`, which programs know it by, what people call it (`title`), and what came of it. */
export const DoctorAnswer = Type.Object({
  checks: Type.Array(
    Type.Object({ name: Type.String(), title: Type.Optional(Title), ok: Type.Boolean(), zh: Type.String(), en: Type.String() }),
  ),
})
export type DoctorAnswer = Static<typeof DoctorAnswer>

/** One JSON object per line; none tells a value of a row. */
export const LogAnswer = Type.Object({ lines: Type.Array(Type.String()) })
export type LogAnswer = Static<typeof LogAnswer>

export const DoneAnswer = Type.Object({ done: Type.Literal(true) })
export type DoneAnswer = Static<typeof DoneAnswer>

/** The answer that belongs to a question. */
export type AnswerTo<Q extends Question> = Q extends PreviewQuestion
  ? PreviewAnswer
  : Q extends DoctorQuestion
    ? DoctorAnswer
    : Q extends LogQuestion
      ? LogAnswer
      : Q extends OperateQuestion
        ? DoneAnswer
        : Q extends ReconcileQuestion
          ? ReconcileAnswer
          : Q extends { table: string }
            ? ColumnsAnswer
            : TablesAnswer

export type Answer = PreviewAnswer | TablesAnswer | ColumnsAnswer | DoctorAnswer | LogAnswer | DoneAnswer | ReconcileAnswer

/** Payload of a `qz-ask` statement, beside the question's own members. */
export const Ask = Type.Object({
  ask: Type.String({ maxLength: 40 }),
  /** The agent asked: nobody else can answer. */
  agent: Type.String({ maxLength: 100 }),
  expires: Type.String({ maxLength: 40 }),
  /** X25519 public key to which the answer is sealed, base64url. */
  reply: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
  kind: Type.String({ maxLength: 40 }),
})
export type Ask = Static<typeof Ask>

const askShape = Compile(Ask)
const questionShapes = [PreviewQuestion, DescribeQuestion, DoctorQuestion, LogQuestion, OperateQuestion, ReconcileQuestion].map((shape) =>
  Compile(shape),
)

export function signAsk(ask: Omit<Ask, 'kind'>, question: Question, hubKey: SigningKey): string {
  return signStatement(hubKey, 'qz-ask', { ...ask, ...question })
}

/** Who asks what until when; undefined where the hub did not ask this of this agent, or it has expired. The question is not checked yet. */
export function openAsk(jws: string, hubKey: string, agent: string, now: Date): Ask | undefined {
  const ask = verifyStatement(jws, 'qz-ask', hubKey)
  return askShape.Check(ask) && ask.agent === agent && Date.parse(ask.expires) > now.getTime() ? ask : undefined
}

/** Throws QZ-REQUEST-INVALID for a question of an unknown kind or of the wrong shape. */
export function questionOf(ask: Ask): Question {
  const question: unknown = ask
  if (questionShapes.some((shape) => shape.Check(question))) return question as Question
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: { zh: `此代理不认识的问询：${ask.kind}`, en: `no question of kind ${ask.kind} that this agent knows` },
  })
}

/** Bytes of a request with a sealed answer, and of the answer before it is sealed (base64 takes a third more). */
export const answerLimits = { request: 1 << 20, plain: 720 << 10 }

const sealedText = { maxLength: answerLimits.request }

/** Body of POST /agent/v1/answers: NaCl box (X25519, XSalsa20, Poly1305) of the answer's JSON; all parts base64url. */
export const SealedAnswer = Type.Object({
  ask: Type.String({ maxLength: 40 }),
  /** The agent's public key, new for each answer. */
  key: Type.String({ maxLength: 43 }),
  nonce: Type.String({ maxLength: 32 }),
  box: Type.String(sealedText),
})
export type SealedAnswer = Static<typeof SealedAnswer>

/** An answer, or why there is none. */
export type Outcome = { answer: Answer } | { error: { code: ErrorCode } & WireDetails }

/** One answer that is too large becomes QZ-BATCH-LIMIT. */
export function sealAnswer({ ask, reply }: Pick<Ask, 'ask' | 'reply'>, outcome: Outcome): SealedAnswer {
  let plain = Buffer.from(JSON.stringify(outcome))
  if (plain.length > answerLimits.plain) plain = Buffer.from(JSON.stringify(failure(tooLarge(plain.length))))
  const { publicKey, secretKey } = nacl.box.keyPair()
  const nonce = nacl.randomBytes(nacl.box.nonceLength)
  const box = nacl.box(plain, nonce, fromText(reply), secretKey)
  return { ask, key: toText(publicKey), nonce: toText(nonce), box: toText(box) }
}

function tooLarge(bytes: number): QianzhiError {
  return new QianzhiError('QZ-BATCH-LIMIT', { reason: { zh: `答复为 ${bytes} 字节`, en: `an answer of ${bytes} bytes` } })
}

/** An error as an outcome; what has no code becomes QZ-INTERNAL. */
export function failure(error: unknown): Outcome {
  const { code, details } = codedError(error)
  return { error: { code, ...detailsToWire(details) } }
}

/** The pair of keys of one ask: the secret one stays in memory. */
export function replyKey(): { reply: string; secret: Uint8Array } {
  const { publicKey, secretKey } = nacl.box.keyPair()
  return { reply: toText(publicKey), secret: secretKey }
}

const answerShapes = {
  preview: Compile(PreviewAnswer),
  tables: Compile(TablesAnswer),
  columns: Compile(ColumnsAnswer),
  doctor: Compile(DoctorAnswer),
  log: Compile(LogAnswer),
  done: Compile(DoneAnswer),
  reconcile: Compile(ReconcileAnswer),
}

function shapeOfAnswer(question: Question) {
  switch (question.kind) {
    case 'describe':
      return question.table === undefined ? answerShapes.tables : answerShapes.columns
    case 'preview':
    case 'doctor':
    case 'log':
    case 'reconcile':
      return answerShapes[question.kind]
    default:
      return answerShapes.done
  }
}

/** Opens an answer. Throws the agent's own coded error, and QZ-REQUEST-INVALID where this is no answer to the question. */
export function openAnswer<Q extends Question>(sealed: SealedAnswer, secret: Uint8Array, question: Q): AnswerTo<Q> {
  const outcome = unseal(sealed, secret)
  const error = outcome?.['error'] as { code?: unknown; details?: unknown; texts?: unknown } | undefined
  if (error && isErrorCode(error.code)) throw new QianzhiError(error.code, detailsFromWire(error))
  if (outcome && shapeOfAnswer(question).Check(outcome['answer'])) return outcome['answer'] as AnswerTo<Q>
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: '代理的答复与问询不符', en: 'the agent sent no answer to this question' } })
}

/** No cause is kept: it could hold a part of the answer. */
function unseal({ box, nonce, key }: SealedAnswer, secret: Uint8Array): Record<string, unknown> | undefined {
  const [nonceBytes, keyBytes] = [fromText(nonce), fromText(key)]
  if (nonceBytes.length !== nacl.box.nonceLength || keyBytes.length !== nacl.box.publicKeyLength) return undefined
  const plain = nacl.box.open(fromText(box), nonceBytes, keyBytes, secret)
  if (!plain) return undefined
  try {
    const value: unknown = JSON.parse(Buffer.from(plain).toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

function fromText(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}
