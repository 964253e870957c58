import { setImmediate } from 'node:timers/promises'
import { blockValues, checkBlock, opBlock, opForm, type OpenBatch } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { keyItems } from '../../protocol/schema.ts'
import type { Supplied } from './agent-views.ts'
import { suppliedItems } from '../records/supply.ts'

/** Packed bytes from which a block is worth giving others a turn before it is unpacked. */
const large = 16 << 10

/**
 * Refuses a signed batch that a receiver could not apply, so that one bad batch cannot wedge every receiver: QZ-BATCH-SCHEMA,
 * QZ-BATCH-ITEM, QZ-BATCH-BLOCK. Unpacking takes milliseconds for a large batch; others get their turn between its blocks.
 */
export async function checkContent(batch: OpenBatch, supplied: Supplied): Promise<void> {
  const { schema } = supplied
  if (batch.manifest.schema !== schema.version) {
    throw new QianzhiError('QZ-BATCH-SCHEMA', { version: batch.manifest.schema, expected: schema.version })
  }
  checkItems(batch, supplied)
  const keys = new Set(keyItems(schema).map(({ id }) => id))
  for (const { item } of batch.manifest.blocks) {
    const block = batch.blocks.find((candidate) => candidate.item === item)
    if ((block?.packed.length ?? 0) >= large) await setImmediate()
    if (block && item !== opBlock) checkBlock(batch, block, keys.has(item))
    else checkOps(batch, item)
  }
}

/** Every item that can be delivered must be there, for a receiver refuses a batch that lacks a granted one; no closed one unless it is stored. */
function checkItems(batch: OpenBatch, { schema, storedClosed }: Supplied): void {
  const present = new Set(batch.manifest.blocks.map(({ item }) => item))
  const allowed = new Set([opBlock, ...suppliedItems(schema, storedClosed)])
  const excess = present.difference(allowed).values().next().value
  const missing = schema.items.find(({ id, openness }) => openness !== 'closed' && !present.has(id))?.id
  const item = excess ?? missing
  if (item !== undefined) throw new QianzhiError('QZ-BATCH-ITEM', { item })
}

/** Also reached by an item that has no block: then that is what is wrong. */
function checkOps(batch: OpenBatch, item: string): void {
  if (!blockValues(batch, item).every((op) => op !== null && opForm.test(op))) {
    throw new QianzhiError('QZ-BATCH-BLOCK', { item, reason: { zh: '不是 u、d 或 c：代码', en: 'not u, d or c:CODE' } })
  }
}
