import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { PollRequest } from '../../protocol/api.ts'
import { beginsSnapshot, opBlock, readerLimits, splitBatch, trustedManifest, type OpenBatch } from '../../protocol/batch.ts'
import { derivedBlock, openDerivedBatch } from '../../protocol/derived.ts'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import { gapHead, maxRanges, type GapHead, type PlaceRange } from '../../protocol/gap.ts'
import type { Receive } from '../../protocol/policy.ts'
import { isAfter, showPosition, type Position, type ChainPosition } from '../../protocol/position.ts'
import { keyId } from '../../protocol/signature.ts'
import {
  batchesIn,
  doneFolder,
  headFile,
  isGone,
  listFiles,
  moveInto,
  putFile,
  readBytes,
  readStatementFile,
  rejectedFolder,
  type BatchFile,
} from './files.ts'

export interface RouteInboxDeps {
  /** The folder in which the outside's files arrive. */
  path: string
  applied: 'remove' | 'done'
  /** Milliseconds: after which something counts as missing, and of quiet after which a file counts as all there. */
  grace: number
  stable: number
  /** The outer agent's public key. */
  outerKey: string
  /** The pinned hub's. */
  hubKey: string
  logger: Logger
}

/** What is not there of a route: some batches, in their order, or a snapshot that begins after a place. */
export type Lack = { batches: PlaceRange[] } | { after: Position | null; epoch?: true }

export interface Found {
  /** Verified, in order; they follow what was asked for. */
  batches: Buffer[]
  /** Only where it has been so for the whole grace. */
  lack?: Lack
  /** Why the next file cannot be used. */
  error?: QianzhiError
  /** Something may change by time alone. */
  pending: boolean
}

type Ask = PollRequest['routes'][number]

interface Glance {
  size: number
  modified: number
  begins: boolean
  /** Seq at which the snapshot began that the batch is of. */
  began?: number
}

/** Why a file is not used: `later`: it may be once the policy or its key is here; `foreign`: the same, but refused in the end. */
type Unusable = 'broken' | 'foreign' | 'later'

/** One route's files as they come through a one-way gap: in any order, twice, in pieces, much later. */
export class RouteInbox {
  readonly #route: string
  readonly #deps: RouteInboxDeps
  readonly #glances = new Map<string, Glance>()
  /** Files that could not be used as they were, and since when they have been the same: milliseconds of `performance.now()`. */
  readonly #held = new Map<string, { size: number; modified: number; since: number; error: QianzhiError }>()
  /** Applied batches that may be wanted once more, and since when they lie here. */
  readonly #spared = new Map<string, { size: number; modified: number; since: number }>()
  #lacking: { key: string; since: number } | undefined

  constructor(route: string, deps: RouteInboxDeps) {
    this.#route = route
    this.#deps = deps
  }

  /** `applied`: how far this agent has said that it has applied the route. `folders`: those that are called like the route. */
  async look(folders: readonly string[], ask: Ask, receive: Receive, applied: Position | undefined): Promise<Found> {
    const files = batchesIn(await listFiles(folders))
    this.#forget(files)
    const later = await this.#finish(files, ask, receive, applied)
    const batches = ask.credit > 0 ? await this.#follow(later, ask, receive) : []
    if (batches.length > 0 || ask.credit === 0) {
      this.#lacking = undefined
      return { batches, pending: false }
    }
    return { batches, ...(await this.#judge(folders, later, ask)) }
  }

  #forget(files: readonly BatchFile[]): void {
    const now = new Map(files.map((file) => [file.path, file]))
    for (const map of [this.#glances, this.#held, this.#spared]) {
      for (const [path, { size, modified }] of map) {
        const file = now.get(path)
        if (file?.size !== size || file.modified !== modified) map.delete(path)
      }
    }
  }

  /** What is applied, and not asked for again, goes. @returns what is after the place asked for. */
  async #finish(files: readonly BatchFile[], { after }: Ask, receive: Receive, applied: Position | undefined): Promise<BatchFile[]> {
    const left: BatchFile[] = []
    for (const file of files) {
      if (isAfter(file.place, after)) left.push(file)
      else if (applied && !isAfter(file.place, applied) && (await this.#isSpent(file, receive))) await this.#finished(file)
    }
    return left
  }

  /**
   * A file with other items than the policy says may be for a policy that is still on its way, which fills the table anew: it is left for
   * a while.
   */
  async #isSpent({ path, size, modified }: BatchFile, { items }: Receive): Promise<boolean> {
    const known = this.#spared.get(path)
    if (known) return performance.now() - known.since >= this.#deps.grace
    try {
      const present = splitBatch(await readBytes(path)).blocks.flatMap(({ item }) =>
        item === opBlock || item === derivedBlock ? [] : [item],
      )
      if (present.length === items.length && present.every((item) => items.includes(item))) return true
    } catch {
      // Nothing that anybody could apply.
      return true
    }
    this.#spared.set(path, { size, modified, since: performance.now() })
    return false
  }

  async #finished({ path, name }: BatchFile): Promise<void> {
    const { applied, path: root } = this.#deps
    if (applied === 'done') await moveInto(path, join(root, doneFolder, this.#route), name)
    else await rm(path, { force: true })
  }

  /** The batches that follow one another from the place asked for, or from the beginning of a later snapshot. */
  async #follow(files: readonly BatchFile[], ask: Ask, receive: Receive): Promise<Buffer[]> {
    const batches: Buffer[] = []
    let at = ask.after
    let chained = at !== null && ask.broken === undefined
    for (let bytes = 0; bytes < ask.credit;) {
      const next = (chained ? await this.#next(files, at!, receive) : undefined) ?? (await this.#nextSnapshot(files, at, receive))
      if (!next) break
      batches.push(next.bytes)
      bytes += next.bytes.length
      at = positionOf(next)
      chained = true
    }
    return batches
  }

  async #next(files: readonly BatchFile[], { epoch, seq, hash }: ChainPosition, receive: Receive): Promise<OpenBatch | undefined> {
    for (const file of files.filter(({ place }) => place.epoch === epoch && place.seq === seq + 1).toReversed()) {
      const batch = await this.#open(file, receive)
      if (batch?.manifest.prev === hash) return batch
    }
    return undefined
  }

  async #nextSnapshot(files: readonly BatchFile[], at: Position | null, receive: Receive): Promise<OpenBatch | undefined> {
    for (const file of files) {
      if (!isAfter(file.place, at) || !(await this.#glance(file))?.begins) continue
      const batch = await this.#open(file, receive)
      if (batch && beginsSnapshot(batch.manifest)) return batch
    }
    return undefined
  }

  /** What a file's manifest says, unverified: to find where a snapshot begins without reading everything. */
  async #glance(file: BatchFile): Promise<Glance | undefined> {
    const { path, size, modified } = file
    const known = this.#glances.get(path)
    if (known?.size === size && known.modified === modified) return known
    try {
      const length = Math.min(readerLimits.encoded, 8 + (await readBytes(path, 8)).readUInt32BE(4))
      const { jws } = splitBatch(await readBytes(path, length))
      const manifest = trustedManifest({ jws })
      const began = manifest.snapshot?.began
      const glance = { size, modified, begins: began === manifest.seq, ...(began !== undefined && { began }) }
      this.#glances.set(path, glance)
      return glance
    } catch (error) {
      await this.#unusable(file, error, 'broken')
      return undefined
    }
  }

  /** The verified batch in a file; undefined where it is not one that can be used now. */
  async #open(file: BatchFile, { keys, items, schema, masks = {} }: Receive): Promise<OpenBatch | undefined> {
    const known = new Map(keys.map(({ key }) => [keyId(key), key]))
    let batch
    try {
      const expected = { route: this.#route, masks, hubKey: this.#deps.hubKey }
      batch = openDerivedBatch(splitBatch(await readBytes(file.path)), (id) => known.get(id), expected)
    } catch (error) {
      if (isGone(error)) return undefined
      const locked = !(error instanceof QianzhiError) && typeof (error as NodeJS.ErrnoException).code === 'string'
      const foreign = error instanceof QianzhiError && (error.code === 'QZ-BATCH-SIGNATURE' || error.code === 'QZ-BATCH-DERIVED')
      return this.#unusable(file, error, locked ? 'later' : foreign ? 'foreign' : 'broken')
    }
    const { resource, schema: version } = batch.manifest
    const differs =
      resource !== schema.resource
        ? resource
        : showPosition(batch.manifest) !== showPosition(file.place)
          ? showPosition(batch.manifest)
          : undefined
    if (differs !== undefined)
      return this.#unusable(
        file,
        new QianzhiError('QZ-BATCH-SIGNATURE', { reason: { zh: `它属于 ${differs}`, en: `it is of ${differs}` } }),
        'broken',
      )
    if (version > schema.version) {
      const reason = { zh: `第 ${version} 版结构尚未获准`, en: `version ${version} of the schema is not in it` }
      return this.#unusable(file, new QianzhiError('QZ-GAP-STATEMENT', { reason }), 'later')
    }
    const present = new Set(batch.blocks.map(({ item }) => item))
    const absent = items.find((item) => !present.has(item) && item !== opBlock)
    if (absent !== undefined) return this.#unusable(file, new QianzhiError('QZ-BATCH-ITEM', { item: absent }), 'later')
    this.#held.delete(file.path)
    return batch
  }

  /** A file that is not what it should be: it may be half written, so it is left for a while before it is refused. */
  async #unusable(file: BatchFile, error: unknown, kind: Unusable): Promise<undefined> {
    const coded = codedError(error)
    const { path, size, modified } = file
    const known = this.#held.get(path)
    const same = known?.size === size && known.modified === modified
    const since = same ? known.since : performance.now()
    this.#held.set(path, { size, modified, since, error: coded })
    const patience = kind === 'broken' ? this.#deps.stable : this.#deps.grace
    if (kind !== 'later' && performance.now() - since >= patience) await this.#reject(file, coded)
    return undefined
  }

  async #reject({ path, name }: BatchFile, error: QianzhiError): Promise<void> {
    const { path: root, logger } = this.#deps
    const folder = join(root, rejectedFolder, this.#route)
    await moveInto(path, folder, name)
    await putFile(join(folder, `${name}.txt`), `${error.code}\r\n${error.text('zh')}\r\n${error.text('en')}\r\n`)
    this.#held.delete(path)
    logger.warn({ route: this.#route, file: name, code: error.code }, error.message)
  }

  /** Why nothing follows although there is something later. */
  async #judge(folders: readonly string[], later: readonly BatchFile[], ask: Ask): Promise<Omit<Found, 'batches'>> {
    const head = await this.#head(folders)
    const lack = await this.#lack(later, head && isAfter(head, ask.after) ? head : undefined, ask)
    const long = (since: number) => performance.now() - since >= this.#deps.grace
    const error = [...this.#held.values()].find(({ since }) => long(since))?.error
    if (!lack) {
      this.#lacking = undefined
      return { pending: this.#held.size > 0, ...(error && { error }) }
    }
    const key = keyOf(lack)
    if (this.#lacking?.key !== key) this.#lacking = { key, since: performance.now() }
    return { pending: true, ...(long(this.#lacking.since) && { lack }), ...(error && { error }) }
  }

  /** How far the outer agent says that it has written. */
  async #head(folders: readonly string[]): Promise<GapHead | undefined> {
    const files = (await listFiles(folders)).filter(({ name }) => name.toLowerCase() === headFile)
    const heads: GapHead[] = []
    for (const { path } of files) {
      const jws = await readStatementFile(path)
      const head = jws === undefined ? undefined : gapHead.open(jws, this.#deps.outerKey)
      if (head?.route === this.#route) heads.push(head)
    }
    return heads.toSorted((a, b) => (a.time < b.time ? 1 : -1))[0]
  }

  async #lack(later: readonly BatchFile[], head: GapHead | undefined, { after, broken }: Ask): Promise<Lack | undefined> {
    const first = later[0]?.place ?? head
    if (!first) return undefined
    if (after === null || broken !== undefined) {
      const began = later[0] && (await this.#glance(later[0]))?.began
      if (began !== undefined && began < first.seq) return { batches: holes(later, head, { epoch: first.epoch, seq: began - 1 }) }
      return began === first.seq ? this.#withOldItems(later) : { after }
    }
    const missing = holes(later, head, first.epoch === after.epoch ? after : { epoch: first.epoch, seq: 0 })
    const next = first.epoch === after.epoch ? after.seq + 1 : 1
    if (missing[0]?.from === next) return { batches: missing }
    // The next one is there. It is held for a reason of its own, or follows another past than ours.
    return this.#held.has(later[0]!.path) ? this.#withOldItems(later) : { after }
  }

  /** Batches from before items were granted, once it is clear that nobody puts others in their place. */
  #withOldItems(later: readonly BatchFile[]): Lack | undefined {
    const { path, place } = later[0]!
    if (this.#held.get(path)?.error.code !== 'QZ-BATCH-ITEM') return undefined
    const to = later.findLast((file) => file.place.epoch === place.epoch)!.place.seq
    return { batches: [{ epoch: place.epoch, from: place.seq, to }] }
  }
}

/** What is not there between a place and the last that is known of its epoch. */
function holes(files: readonly BatchFile[], head: Position | undefined, after: Position): PlaceRange[] {
  const { epoch } = after
  const there = new Set(files.flatMap(({ place }) => (place.epoch === epoch ? [place.seq] : [])))
  const ranges: PlaceRange[] = []
  let from = after.seq + 1
  for (const seq of there) {
    if (seq > from) ranges.push({ epoch, from, to: seq - 1 })
    from = Math.max(from, seq + 1)
  }
  if (head?.epoch === epoch && head.seq >= from) ranges.push({ epoch, from, to: head.seq })
  return ranges.slice(0, maxRanges)
}

/** The same as long as the same is waited for first. */
export function keyOf(lack: Lack): string {
  if ('after' in lack) return `after ${showPosition(lack.after)}`
  const [{ epoch, from }] = lack.batches as [PlaceRange]
  return `${epoch}/${from}`
}

function positionOf({ manifest: { epoch, seq }, hash }: OpenBatch): ChainPosition {
  return { epoch, seq, hash }
}
