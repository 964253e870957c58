import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError, type WireDetails } from './errors.ts'
import type { LocalizedText } from './localized.ts'
import { ChainPosition } from './position.ts'
import { signStatement, verifyStatement, type SigningKey } from './signature.ts'

/**
 * Reconciliation 对账 (SPEC section 15): the questions by which the hub has both ends of a route compare what they hold, their answers,
 * and the statement that both sign. A long step is asked again and again: it begins when it is asked for the first time, and the agent
 * holds every ask for a while, then says whether it is done.
 */

const Value = Type.Union([Type.String(), Type.Null()])
/** A key in its canonical form (digest.ts), its values in the schema's order. */
const Key = Type.Array(Value, { minItems: 1, maxItems: 400 })
export type ReconciledKey = Static<typeof Key>

/** Keys that a run follows one by one; beyond, the table wants a new snapshot. */
export const maxKeys = 1000
/** Buckets told in one answer, and hashes of rows: what gateways that let 256 KiB through let through. */
export const bucketsAtOnce = 4_096
export const entriesAtOnce = 3_000
/** Rows of differing buckets that an agent holds for a run. */
export const maxEntries = 250_000

const bits = Type.Integer({ minimum: 0, maximum: 16 })
const from = Type.Integer({ minimum: 0 })
const keys = Type.Array(Key, { maxItems: maxKeys })
const round = Type.Integer({ minimum: 1, maximum: 100 })

/**
 * What a second look found wrong in a side's reading of its table: the database counts other rows than were read, does not have values that
 * were read, or has several rows of one key.
 */
export const Doubt = Type.Enum(['rows', 'values', 'keys'])
export type Doubt = Static<typeof Doubt>

/** An item whose values the receiver's mapping does not keep: without spaces around them, and null where they are none of `values`. */
const NarrowedItem = Type.Object({
  item: Type.String({ maxLength: 30 }),
  trim: Type.Optional(Type.Boolean()),
  values: Type.Optional(Type.Array(Type.String(), { maxItems: 10_000 })),
})
export type NarrowedItem = Static<typeof NarrowedItem>
const narrowed = Type.Array(NarrowedItem, { maxItems: 400 })

const Side = Type.Object({
  /** Without keys that are moving or in a quarantine; each other one that was followed as it was read last. */
  rows: Type.Integer({ minimum: 0 }),
  /** Sum of their hashes modulo 2^128. */
  digest: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  /** When its table was read. */
  from: Type.String({ maxLength: 40 }),
  to: Type.String({ maxLength: 40 }),
  doubt: Type.Optional(Doubt),
})
export type Measured = Static<typeof Side>

/** What both sides sign, each as far as it measured it. Counts are of keys. */
export const ReconciliationStatement = Type.Object({
  run: Type.String(),
  route: Type.String(),
  resource: Type.String(),
  schema: Type.Integer(),
  items: Type.Array(Type.String()),
  /** Those compared as the receiver's mapping leaves their values. */
  narrowed: Type.Optional(Type.Array(Type.String())),
  /** Delivered masked, and so not compared. */
  masked: Type.Optional(Type.Array(Type.String())),
  salt: Type.String(),
  /** The place up to which the receiver had applied the stream at the end. */
  position: ChainPosition,
  time: Type.String(),
  source: Side,
  target: Side,
  /** Found when both tables were read; with `more` there are more than were followed. */
  differing: Type.Integer({ minimum: 0 }),
  more: Type.Boolean(),
  /** Equal once the route had passed: they were under way. */
  settled: Type.Integer({ minimum: 0 }),
  /** They never stood still, and the receiver followed. */
  moving: Type.Integer({ minimum: 0 }),
  quarantined: Type.Integer({ minimum: 0 }),
  repaired: Type.Integer({ minimum: 0 }),
  remaining: Type.Integer({ minimum: 0 }),
  outcome: Type.Enum(['equal', 'different']),
})
export type ReconciliationStatement = Static<typeof ReconciliationStatement>

const Step = Type.Union([
  /** What the receiver's mappings do not keep. */
  Type.Object({ do: Type.Literal('narrowing') }),
  /** Reads the table and sums it up. Long. */
  Type.Object({ do: Type.Literal('digest') }),
  Type.Object({ do: Type.Literal('buckets'), bits, from }),
  /** Reads the table again and keeps the hashes of the rows in these buckets. Long. */
  Type.Object({ do: Type.Literal('collect'), bits, buckets: Type.Array(from, { maxItems: maxKeys }) }),
  Type.Object({ do: Type.Literal('entries'), from }),
  /** The keys of rows that were collected, by their hashes. */
  Type.Object({ do: Type.Literal('keys'), hashes: Type.Array(Type.String({ maxLength: 32 }), { maxItems: maxKeys }) }),
  /**
   * The source reads rows now and answers when everything that was queued then is stored at the hub; the receiver answers, and reads, when
   * it has applied the stream up to `after`. Long.
   */
  Type.Object({ do: Type.Literal('recheck'), round, keys, after: Type.Optional(ChainPosition) }),
  /** The source sends the rows at these keys again, and says at which it has none. It sends no delete for a key that somebody named. Long. */
  Type.Object({ do: Type.Literal('repair'), keys }),
  /** The receiver removes its rows at these keys, at which the source has none, if they came no later than `before`. Long. */
  Type.Object({ do: Type.Literal('remove'), keys, before: ChainPosition }),
  /** Sums up what was read, each key that was followed as it was read last, these left out. */
  Type.Object({ do: Type.Literal('total'), without: keys }),
  Type.Object({ do: Type.Literal('sign'), statement: ReconciliationStatement }),
])
export type Step = Static<typeof Step>

export const ReconcileQuestion = Type.Object({
  kind: Type.Literal('reconcile'),
  run: Type.String({ maxLength: 40 }),
  route: Type.String({ maxLength: 128 }),
  resource: Type.String({ maxLength: 64 }),
  side: Type.Enum(['source', 'target']),
  schema: Type.Integer({ minimum: 1 }),
  /** The items compared: those that the route delivers, in schema order. */
  items: Type.Array(Type.String({ maxLength: 30 }), { minItems: 1, maxItems: 400 }),
  salt: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  narrowed: Type.Optional(narrowed),
  step: Step,
})
export type ReconcileQuestion = Static<typeof ReconcileQuestion>

const base64 = Type.String({ maxLength: 1 << 20 })
const done = Type.Literal(true)
/** Of a long step that goes on: rows read so far. */
const Pending = Type.Object({ done: Type.Literal(false), rows: Type.Integer({ minimum: 0 }) })

/** The answer to each step. */
export const reconcileAnswers = {
  narrowing: Type.Object({ narrowed }),
  digest: Type.Union([Pending, Type.Object({ done, ...Side.properties, position: ChainPosition })]),
  /** `bucketBytes` a bucket. */
  buckets: Type.Object({ buckets: base64 }),
  collect: Type.Union([Pending, Type.Object({ done, entries: Type.Integer({ minimum: 0 }) })]),
  /** Hash of the key, then hash of the row, `hashBytes` each. */
  entries: Type.Object({ entries: base64 }),
  keys: Type.Object({ keys: Type.Array(Key) }),
  /**
   * For each key the hash of its row (base64url), null where it has none, and the code of the fault with which the key lies in a
   * quarantine of this side, else null.
   */
  recheck: Type.Union([
    Pending,
    Type.Object({ done, hashes: Type.Array(Value), faults: Type.Array(Value), position: Type.Optional(ChainPosition) }),
  ]),
  repair: Type.Union([Pending, Type.Object({ done, position: ChainPosition, absent: Type.Optional(keys) })]),
  remove: Type.Union([Pending, Type.Object({ done, removed: Type.Integer({ minimum: 0 }) })]),
  total: Type.Object({ rows: Side.properties.rows, digest: Side.properties.digest }),
  sign: Type.Object({ signature: Type.String({ maxLength: 1 << 20 }) }),
} as const

export type StepName = Step['do']
export type StepOf<N extends StepName> = Extract<Step, { do: N }>
export type StepAnswer<N extends StepName> = Static<(typeof reconcileAnswers)[N]>

/** Any answer to a question of this kind; `stepAnswer` says whether it is one to its step. */
export const ReconcileAnswer = Type.Object({})
export type ReconcileAnswer = { [N in StepName]: StepAnswer<N> }[StepName]

const shapes = new Map(Object.entries(reconcileAnswers).map(([name, shape]) => [name, Compile(shape)]))

/** Throws QZ-REQUEST-INVALID where an agent's answer is none to this step. */
export function stepAnswer<N extends StepName>(name: N, answer: unknown): StepAnswer<N> {
  if (shapes.get(name)!.Check(answer)) return answer as StepAnswer<N>
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: { zh: `与对账步骤 ${name} 不符的答复`, en: `no answer to the step ${name} of a reconciliation` },
  })
}

const statementShape = Compile(ReconciliationStatement)

export function signReconciliation(statement: ReconciliationStatement, key: SigningKey): string {
  return signStatement(key, 'qz-reconciliation', statement)
}

/** The statement if `publicKey` signed it, else undefined. */
export function openReconciliation(jws: string, publicKey: string): ReconciliationStatement | undefined {
  const value = verifyStatement(jws, 'qz-reconciliation', publicKey)
  return statementShape.Check(value) ? value : undefined
}

/**
 * Equal: rows and digests are the same on both sides, each side's database confirms what was read of it, and nothing remains. Left out are only keys that are under way, or lie in a quarantine
 * where both sides see them.
 */
export function outcomeOf({
  source,
  target,
  remaining,
  more,
}: Pick<ReconciliationStatement, 'source' | 'target' | 'remaining' | 'more'>): 'equal' | 'different' {
  const same = source.rows === target.rows && source.digest === target.digest && !source.doubt && !target.doubt
  return same && remaining === 0 && !more ? 'equal' : 'different'
}

const doubted: Readonly<Record<Doubt, LocalizedText>> = {
  rows: {
    zh: '读到的行数与数据库自己统计的行数不同：请检查键的索引（重建后再对账）',
    en: 'the database counts other rows than were read: look at the index of the key (rebuild it and reconcile again)',
  },
  values: {
    zh: '读到的值在数据库中按其自己的比较找不到：该列不能无损读取',
    en: 'values that were read are not what the database itself compares: a column is not read without loss',
  },
  keys: {
    zh: '同一主键有多行：请去除重复，或恢复唯一约束（QZ-ROW-KEY-TWICE）',
    en: 'several rows have one key: remove what is double, or restore the unique constraint (QZ-ROW-KEY-TWICE)',
  },
}

/** What second looks found wrong, for people. */
export function doubtTexts({ source, target }: Pick<ReconciliationStatement, 'source' | 'target'>): LocalizedText[] {
  const of = (zh: string, en: string, doubt: Doubt | undefined) =>
    doubt ? [{ zh: `${zh}：${doubted[doubt].zh}`, en: `${en}: ${doubted[doubt].en}` }] : []
  return [...of('来源方', 'source', source.doubt), ...of('接收方', 'receiver', target.doubt)]
}

/** How a run goes, for the operators of both its agents. */
export interface ReconciliationProgress {
  run: string
  route: string
  state: 'waiting' | 'running' | 'equal' | 'different' | 'failed'
  /** Side and step, and the rows read in it so far. */
  step: string | null
  rows: number
  /** Why it failed, or was put off. */
  code: string | null
  details: WireDetails['details'] | null
  texts?: WireDetails['texts']
  statement: ReconciliationStatement | null
  /** Keys in which the two differed, and what has become of each. */
  keys: readonly { key: ReconciledKey; difference: string; state: string; side?: string | null; code?: string | null }[]
}
