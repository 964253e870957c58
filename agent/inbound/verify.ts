/** A batch that has arrived for a route: whether it is what the provider signed and what comes next, and what it changes in the sink. */
import { beginsSnapshot, blockValues, opBlock, splitBatch, type Op, type OpenBatch } from '../../protocol/batch.ts'
import { openDerivedBatch } from '../../protocol/derived.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Receive } from '../../protocol/policy.ts'
import { isAfter, showPosition, type ChainPosition } from '../../protocol/position.ts'
import type { Schema } from '../../protocol/schema.ts'
import { keyId } from '../../protocol/signature.ts'
import type { Change, Row, SinkTable } from '../database.ts'
import { localRows } from '../config/mapping.ts'

/** What a route knows when a batch arrives. */
export interface Awaiting {
  receive: Receive
  schema: Schema
  /** Whether a provider's key of this id is pinned for the resource. */
  isPinned: (id: string) => boolean
  /** The pinned hub's, which countersigns what is masked. */
  hubKey: string
  /** The newest verified batch. */
  received: ChainPosition | null
  /** Only the beginning of a later snapshot can be gone on with. */
  broken: boolean
}

/**
 * The verified batch where it is the one to go on with; undefined where it is passed over: it came before, or is of a version that the
 * policy does not know yet. Throws why it cannot be used (SPEC section 7).
 */
export function openArrived(bytes: Buffer, awaiting: Awaiting): OpenBatch | undefined {
  const { schema, hubKey } = awaiting
  const { route, masks = {} } = awaiting.receive
  const batch = openDerivedBatch(splitBatch(bytes), (id) => providerKey(id, awaiting), { route, masks, hubKey })
  const { manifest } = batch
  if (manifest.resource !== schema.resource)
    throw new QianzhiError('QZ-BATCH-SIGNATURE', { reason: { zh: `它属于资源 ${manifest.resource}`, en: `it is of ${manifest.resource}` } })
  checkEpoch(batch, awaiting)
  // Our policy is older than the batch: the new one is on its way.
  if (manifest.schema > schema.version) return undefined
  return follows(batch, awaiting) ? batch : undefined
}

function providerKey(id: string, { receive, schema, isPinned }: Awaiting): string | undefined {
  const key = receive.keys.map((entry) => entry.key).find((publicKey) => keyId(publicKey) === id)
  if (key && !isPinned(id)) throw new QianzhiError('QZ-PROVIDER-KEY', { resource: schema.resource })
  return key
}

function checkEpoch({ manifest, keyId: id }: OpenBatch, { receive }: Awaiting): void {
  const entry = receive.keys.find(({ key }) => keyId(key) === id)!
  if (manifest.epoch >= entry.from && (entry.to === undefined || manifest.epoch <= entry.to)) return
  throw new QianzhiError('QZ-BATCH-SIGNATURE', {
    reason: { zh: `该密钥不适用于第 ${manifest.epoch} 期`, en: `the key does not count for epoch ${manifest.epoch}` },
  })
}

/** The next seq with the right prev, or the beginning of a later snapshot. What came before already is passed over. */
function follows({ manifest }: OpenBatch, { received, broken }: Awaiting): boolean {
  if (received && !isAfter(manifest, received)) return false
  if (beginsSnapshot(manifest)) return true
  const next = received?.epoch === manifest.epoch && received.seq + 1 === manifest.seq && received.hash === manifest.prev
  if (next && !broken) return true
  throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(manifest) })
}

/** Throws QZ-BATCH-ITEM where the batch lacks an item that the route gets: the next snapshot must begin after it. */
export function requireItems(batch: OpenBatch, { columns }: SinkTable): void {
  const present = new Set(batch.blocks.map((block) => block.item))
  const absent = columns.find(({ item }) => !present.has(item.id))
  if (absent) throw new QianzhiError('QZ-BATCH-ITEM', { item: absent.item.id })
}

export function placeOf({ manifest: { epoch, seq }, hash }: OpenBatch): ChainPosition {
  return { epoch, seq, hash }
}

/** Its rows as they are written; `from`: what the sink must have reached before. Throws QZ-BATCH-BLOCK where they cannot be read. */
export function toChange(batch: OpenBatch, sink: SinkTable, from: ChainPosition | null): Change {
  const { epoch, rows, snapshot } = batch.manifest
  const received = sink.columns.map(({ item }) => blockValues(batch, item.id))
  const { columns, without } = localRows(sink.columns, received)
  const change: Change = { from, to: placeOf(batch), rows, columns }
  if (batch.blocks.some((block) => block.item === opBlock)) change.ops = blockValues(batch, opBlock) as Op[]
  if (without.size > 0) change.ops = Array.from({ length: rows }, (_, row) => opOf(change.ops?.[row] ?? 'u', without.has(row)))
  if (snapshot) change.snapshot = { began: { epoch, seq: snapshot.began }, last: snapshot.last }
  if (sink.files) {
    change.bytes = batch.bytes
    change.manifest = batch.jws
  }
  return change
}

/** The same, of which the columns are only made where somebody asks for them: then it may throw. */
export function laterChange(batch: OpenBatch, sink: SinkTable, from: ChainPosition | null): Change {
  let made: Change | undefined
  const { rows, snapshot, epoch } = batch.manifest
  return {
    from,
    to: placeOf(batch),
    rows,
    get columns() {
      return (made ??= toChange(batch, sink, from)).columns
    },
    ...(batch.blocks.some((block) => block.item === opBlock) && { ops: blockValues(batch, opBlock) as Op[] }),
    ...(snapshot && { snapshot: { began: { epoch, seq: snapshot.began }, last: snapshot.last } }),
  }
}

/** Deletes that no batch brought: the place stays as it is. */
export function deletesOf(keys: readonly Row[], { columns }: SinkTable, place: ChainPosition): Change {
  let at = 0
  const values = columns.map(({ item }) => {
    const key = item.key ? at++ : undefined
    return keys.map((row) => (key === undefined ? null : row[key]!))
  })
  return { from: place, to: place, rows: keys.length, columns: values, ops: keys.map(() => 'd') }
}

/** A row with a value that has no local code is set aside like one that cannot be sent. */
function opOf(op: Op, without: boolean): Op {
  return without && op === 'u' ? 'c:QZ-ROW-CODE' : op
}
