import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError, reasonOf } from './errors.ts'
import { ChainPosition, Count, Epoch, Seq } from './position.ts'

/** The agent API (SPEC section 5): every request is signed (see request.ts) and names the protocol version. */
export const protocolVersion = 1
/** Served by the hub: this version and the one before it. */
export const servedVersions: readonly number[] = [1]
export const versionHeader = 'qianzhi-version'

/**
 * `?for=AGENT` on `batches`, `poll` and `head`: the request is signed by another agent of the same agency, which brings what that one has
 * signed and fetches its policy; the one it is for lies behind a one-way gap.
 */
export const agentPaths = {
  /** POST EnrolRequest → EnrolAnswer. Signed with the key that is being enrolled. */
  enrol: '/agent/v1/enrol',
  /** POST a batch container → StoredAnswer. */
  batches: '/agent/v1/batches',
  /** POST PollRequest → a delivery container. */
  poll: '/agent/v1/poll',
  /** POST ReceiptsRequest → {}. */
  receipts: '/agent/v1/receipts',
  /** POST SealedAnswer (asks.ts) → {}. */
  answers: '/agent/v1/answers',
  /** POST a route or resource → {runs}; GET ?run= → ReconciliationProgress (reconciliation.ts). */
  reconciliations: '/agent/v1/reconciliations',
  /** GET ?resource= → HeadAnswer: the head of one's own stream. */
  head: '/agent/v1/head',
  /** GET ?resource=&epoch=&seq= → a delivery container with one's own batches after that place, key items only. */
  own: '/agent/v1/own',
} as const

/** What an enrolment token carries, as base64url JSON behind `qzt1.` */
export const EnrolToken = Type.Object({
  urls: Type.Array(Type.String(), { minItems: 1 }),
  /** Public key of the hub (base64url Ed25519). */
  hubKey: Type.String(),
  /** SHA-256 (hex) of the DER of the hub's own authority certificate; absent where its certificate is publicly trusted. */
  authority: Type.Optional(Type.String()),
  secret: Type.String(),
})
export type EnrolToken = Static<typeof EnrolToken>

export const EnrolRequest = Type.Object({
  secret: Type.String({ maxLength: 200 }),
  /** Canonical base64url, unused bits zero: one key has one spelling. */
  publicKey: Type.String({ pattern: '^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$' }),
  name: Type.String({ minLength: 1, maxLength: 100 }),
  /** Of an agent behind a one-way gap: its own word on its key (JWS of GapKey), which another agent brings and signs the request. */
  carried: Type.Optional(Type.String({ maxLength: 2000 })),
})
export type EnrolRequest = Static<typeof EnrolRequest>

export interface EnrolAnswer {
  agent: string
  agency: string
  policy: string
  time: string
}

/** Answer to a stored batch: the hub's receipt (JWS of StoredReceipt). A repeat of the same manifest gets the first receipt again. */
export interface StoredAnswer {
  receipt: string
}

export interface HeadAnswer {
  head: ChainPosition | null
  /** Highest epoch the hub has ever seen of this stream, also from receivers. */
  epoch: number
  /** Who made the head; absent where there is none. Another one's stream is not gone on with: a new epoch begins. */
  producer?: string
  /** Rows that the receivers have, by the last head statement that told it. */
  rows?: number
}

/** Of a resource, a route, a database. */
const Name = Type.String({ maxLength: 128 })

const Fault = Type.Object({
  code: Type.String({ maxLength: 40 }),
  zh: Type.String({ maxLength: 4000 }),
  en: Type.String({ maxLength: 4000 }),
  since: Type.String({ maxLength: 40 }),
  /** What is to be done, where whoever brought it about says so: then it is not over by itself. */
  next: Type.Optional(Type.Object({ zh: Type.String({ maxLength: 1000 }), en: Type.String({ maxLength: 1000 }) })),
})

/** How far a snapshot is: rows read, of about so many; rows per second and seconds left at that rate, once they can be told. */
export const SnapshotProgress = Type.Object({
  rows: Count,
  total: Count,
  rate: Type.Optional(Count),
  left: Type.Optional(Count),
  /** Set while it waits for the hours that the operator allows. */
  waits: Type.Optional(Type.Enum(['window'])),
})
export type SnapshotProgress = Static<typeof SnapshotProgress>

/** `paused`: the operator wants nothing to be read or sent, or nothing to be received; changes go on being queued. */
const lineStates = ['starting', 'flowing', 'loading', 'held', 'paused'] as const

/** A file of rows that was taken or refused. */
export const SettledFile = Type.Object({
  /** Random: the same in every report. */
  id: Type.String({ minLength: 1, maxLength: 40 }),
  /** As it was put in, or as it lies in `rejected/`. */
  file: Type.String({ maxLength: 255 }),
  time: Type.String({ maxLength: 40 }),
  /** Of its first fault; absent where the file was taken. */
  code: Type.Optional(Type.String({ maxLength: 40 })),
  /** Rows, and those of them with faults; absent where it was refused before they were read. */
  rows: Type.Optional(Count),
  bad: Type.Optional(Count),
})
export type SettledFile = Static<typeof SettledFile>

/** Files of a source that is a folder. */
export const FileCounts = Type.Object({
  /** That lie in it now. */
  waiting: Count,
  /** Taken and refused since its first set-up; where files themselves are supplied, those that are and those that cannot be now. */
  taken: Count,
  refused: Count,
  /** When the folder was last looked through to the end since the agent started, by the agent's clock. */
  looked: Type.Optional(Type.String({ maxLength: 40 })),
  /** Newest first: the last file of rows that was taken, and the last ones that were refused. */
  settled: Type.Optional(Type.Array(SettledFile, { maxItems: 20 })),
  /** What lies there and is not taken, or stays though it is gone from the folder, and why; the first ones. Absent where there is nothing. */
  untaken: Type.Optional(
    Type.Array(
      Type.Object({
        file: Type.String({ maxLength: 255 }),
        reason: Type.Object({ zh: Type.String({ maxLength: 200 }), en: Type.String({ maxLength: 200 }) }),
      }),
      { maxItems: 20 },
    ),
  ),
})
export type FileCounts = Static<typeof FileCounts>

export const SourceReport = Type.Object({
  resource: Name,
  database: Name,
  state: Type.Enum([...lineStates]),
  /** Entries that wait in the queue (counted up to a bound), and the commit time of the oldest if known. */
  waiting: Count,
  oldest: Type.Optional(Type.String({ maxLength: 40 })),
  position: Type.Union([ChainPosition, Type.Null()]),
  lastPush: Type.Optional(Type.String({ maxLength: 40 })),
  rows: Count,
  /** Rows that the receivers have; absent where that is not known. */
  delivered: Type.Optional(Count),
  /** Keys that could not be sent. */
  quarantine: Count,
  /** Rows sent since the program started although a check warned of a value in them; absent where no item has a check. */
  warned: Type.Optional(Count),
  /** Columns of the table that supply no item, by name: they could be registered. Absent where they are not known or not to be told. */
  unregistered: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 100 })),
  /** Keys that were changed but whose rows the receivers have already, since the program started; absent where that is not looked at. */
  unchanged: Type.Optional(Count),
  /** Set while a snapshot is needed or runs. */
  snapshot: Type.Optional(SnapshotProgress),
  /** Exactly of a folder, once it was looked at. */
  files: Type.Optional(FileCounts),
  fault: Type.Optional(Fault),
})
export type SourceReport = Static<typeof SourceReport>

/** Rows that a delivered table refuses, of one code and item. */
export const Refusal = Type.Object({
  code: Type.String({ maxLength: 40 }),
  item: Type.Optional(Type.String({ maxLength: 30 })),
  /** Counted up to a bound. */
  keys: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  /** Keys of some of them. */
  examples: Type.Array(Type.Array(Type.Union([Type.String({ maxLength: 200 }), Type.Null()]), { maxItems: 16 }), { maxItems: 5 }),
  /** What the database said: constraints, tables and columns of its own, no value of a row. */
  reasons: Type.Optional(Type.Array(Type.String({ maxLength: 300 }), { maxItems: 3 })),
})
export type Refusal = Static<typeof Refusal>

export const SinkReport = Type.Object({
  route: Name,
  resource: Name,
  database: Name,
  table: Type.String({ maxLength: 300 }),
  state: Type.Enum([...lineStates]),
  position: Type.Union([ChainPosition, Type.Null()]),
  lastApplied: Type.Optional(Type.String({ maxLength: 40 })),
  rows: Count,
  quarantine: Count,
  /** What this receiver's own table refuses now (Art. 18: told to the provider); absent where it was not looked at yet. */
  refused: Type.Optional(Type.Array(Refusal, { maxItems: 20 })),
  /** Time of the newest head statement of the provider that this receiver has reached. */
  reached: Type.Optional(Type.String({ maxLength: 40 })),
  /** Of a route that is handed to a one-way gap: how far the inside says that it has applied it, and when it said so. */
  confirmed: Type.Optional(Type.Object({ epoch: Epoch, seq: Seq, time: Type.String({ maxLength: 40 }) })),
  /** The same: when the oldest batch was handed over that the inside has not confirmed. */
  unconfirmed: Type.Optional(Type.String({ maxLength: 40 })),
  fault: Type.Optional(Fault),
})
export type SinkReport = Static<typeof SinkReport>

const Share = Type.Object({ level: Count, all: Count })

/** How an agent stands on a morning. */
export const MorningLine = Type.Object({
  /** Of the agent's own time zone. */
  day: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }),
  time: Type.String({ maxLength: 40 }),
  /** Sources of which nothing waits, of all. */
  sources: Share,
  /** Received routes that have applied all that their provider says there is, of all. */
  routes: Share,
  /** Entries that wait in all queues, and the commit time of the oldest if known. */
  waiting: Count,
  oldest: Type.Optional(Type.String({ maxLength: 40 })),
  quarantine: Count,
  /** Lines that are held, or paused. */
  held: Count,
  paused: Count,
  /** The last reconciliation of each route that had one in the 32 days before: when the newest ended, how many were equal, of all. */
  reconciled: Type.Optional(Type.Object({ time: Type.String({ maxLength: 40 }), equal: Count, all: Count })),
})
export type MorningLine = Static<typeof MorningLine>

export const AgentReport = Type.Object({
  version: Type.String({ maxLength: 40 }),
  /** Random, new at every start of the program. */
  session: Type.String({ maxLength: 40 }),
  /** Milliseconds that the hub's clock is ahead of the agent's. */
  clockOffset: Type.Integer({ minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
  sources: Type.Array(SourceReport, { maxItems: 2000 }),
  sinks: Type.Array(SinkReport, { maxItems: 2000 }),
  /** When (`08:30`, in that IANA time zone) the agent writes its morning line, and the newest one; absent where it writes none. */
  morning: Type.Optional(
    Type.Object({
      at: Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$' }),
      timezone: Type.String({ maxLength: 64 }),
      line: Type.Optional(MorningLine),
    }),
  ),
})
export type AgentReport = Static<typeof AgentReport>

export const PollRequest = Type.Object({
  /** Serial of the policy that the agent obeys; 0 for none. */
  policy: Count,
  routes: Type.Array(
    Type.Object({
      route: Name,
      /** The last batch received (it may still be on its way into the table); null to begin with a snapshot. */
      after: Type.Union([ChainPosition, Type.Null()]),
      /** Bytes that the agent has room for; 0 while the sink is down. */
      credit: Count,
      /** Set where the stream cannot be gone on with: the code says why; the hub sees to a new snapshot. */
      broken: Type.Optional(Type.String({ maxLength: 40 })),
    }),
    { maxItems: 2000 },
  ),
  /** JWS of HeadStatement, one per supplied stream. */
  heads: Type.Array(Type.String({ maxLength: 4000 }), { maxItems: 2000 }),
  report: AgentReport,
  /** A command asks (`setup`, `doctor`): whether the agent itself runs is not known by it, and its report is empty. */
  command: Type.Optional(Type.Boolean()),
  /** The agent verifies masked items (derived.ts). One that does not say so gets nothing of a route that has some. */
  masks: Type.Optional(Type.Boolean()),
  /** Seconds that the hub may hold the request when there is nothing to say. */
  wait: Type.Number({ minimum: 0, maximum: 60 }),
})
export type PollRequest = Static<typeof PollRequest>

export const ReceiptsRequest = Type.Object({ receipts: Type.Array(Type.String({ maxLength: 64_000 }), { maxItems: 2000 }) })
export type ReceiptsRequest = Static<typeof ReceiptsRequest>

const Pair = Type.Object({ zh: Type.String(), en: Type.String() })

/** What has become of the rows that a delivered table refuses for one code and item (Art. 18). */
export const CorrectionNote = Type.Object({
  correction: Type.String(),
  code: Type.String(),
  item: Type.Optional(Type.String()),
  state: Pair,
  /** What the provider answered, or why it went no further. */
  text: Type.Optional(Type.String()),
})
export type CorrectionNote = Static<typeof CorrectionNote>

/** JSON head of a delivery. */
export const DeliveryHeader = Type.Object({
  time: Type.String(),
  policy: Type.Optional(Type.String()),
  /** Streams of which the hub wants a snapshot that begins after the given place. */
  snapshots: Type.Array(
    Type.Object({
      resource: Type.String(),
      after: Type.Union([Type.Object({ epoch: Type.Integer(), seq: Type.Integer() }), Type.Null()]),
    }),
  ),
  /** The provider's newest head statement per route, and why a route that was asked for gets nothing. */
  routes: Type.Array(
    Type.Object({
      route: Type.String(),
      head: Type.Optional(Type.String()),
      code: Type.Optional(Type.String()),
      details: Type.Optional(Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()]))),
      /** The details that are texts in both languages (errors.ts, WireDetails). */
      texts: Type.Optional(Type.Record(Type.String(), Pair)),
      corrections: Type.Optional(Type.Array(CorrectionNote)),
    }),
  ),
  /** What the hub asks of the agent: `qz-ask` statements (asks.ts), told until they are answered or expire. */
  asks: Type.Optional(Type.Array(Type.String(), { maxItems: 20 })),
  /** What follows, in order: batches of a route, `length` bytes each. */
  batches: Type.Array(Type.Object({ route: Type.String(), length: Type.Integer({ minimum: 0 }) })),
})
export type DeliveryHeader = Static<typeof DeliveryHeader>
const headerShape = Compile(DeliveryHeader)

export const deliveryMediaType = 'application/vnd.qianzhi.delivery'
const magic = Buffer.from('QZD1')

/** Delivery container: `QZD1`, 4-byte big-endian length, the header as JSON, then the batches one behind the other. */
export function encodeDelivery(header: DeliveryHeader, batches: readonly Buffer[]): Buffer {
  const json = Buffer.from(JSON.stringify(header))
  const head = Buffer.alloc(8)
  magic.copy(head)
  head.writeUInt32BE(json.length, 4)
  return Buffer.concat([head, json, ...batches])
}

/** Throws QZ-BATCH-FORMAT where the container is cut off or is none. */
export function decodeDelivery(bytes: Buffer): { header: DeliveryHeader; batches: { route: string; bytes: Buffer }[] } {
  if (bytes.length < 8 || !bytes.subarray(0, 4).equals(magic))
    throw new QianzhiError('QZ-BATCH-FORMAT', { reason: { zh: '不是 QZD1 容器', en: 'no QZD1 container' } })
  let at = 8 + bytes.readUInt32BE(4)
  if (at > bytes.length)
    throw new QianzhiError('QZ-BATCH-FORMAT', { reason: { zh: '交付的头部不完整', en: 'the delivery header is cut off' } })
  const header = decodeHeader(bytes.subarray(8, at))
  const batches = header.batches.map(({ route, length }) => {
    const part = bytes.subarray(at, (at += length))
    if (part.length !== length) throw new QianzhiError('QZ-BATCH-FORMAT', { reason: { zh: '交付不完整', en: 'the delivery is cut off' } })
    return { route, bytes: part }
  })
  if (at !== bytes.length)
    throw new QianzhiError('QZ-BATCH-FORMAT', {
      reason: { zh: '最后一个批次之后还有内容', en: 'the delivery goes on after its last batch' },
    })
  return { header, batches }
}

function decodeHeader(json: Buffer): DeliveryHeader {
  let header: unknown
  try {
    header = JSON.parse(json.toString())
  } catch (cause) {
    throw badHeader(reasonOf(cause), cause)
  }
  if (headerShape.Check(header)) return header
  throw badHeader(headerShape.Errors(header)[0]?.message ?? 'shape')
}

function badHeader(fault: string, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-BATCH-FORMAT', { reason: { zh: `交付头部：${fault}`, en: `delivery header: ${fault}` } }, { cause })
}
