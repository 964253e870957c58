/**
 * Making a folder fit what has come of its files: complete versions are verified and put in their places, files without rows are removed.
 * The names concerned are written down before; each of them may be settled again after a crash, with the same end.
 */
import { lstat } from 'node:fs/promises'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { RowFault } from '../../database.ts'
import type { DeliveredParts, PlacedFile, Version } from './delivered-parts.ts'
import type { PartFiles } from './part-files.ts'
import { inParallel, notOurs, type Lying, type TargetFolder } from './target-folder.ts'
import { contentOf } from './walk.ts'
import type { SinkStore } from '../store/sink-store.ts'

/** Names that are settled together. */
const atOnce = 64
/** Files of which it is remembered what they hold while they are as they are. */
const maxKnown = 1_000
/** Milliseconds for which that counts. */
const knownFor = 600_000

export interface FilePlacementDeps {
  store: SinkStore
  parts: DeliveredParts
  files: PartFiles
  placing: TargetFolder
}

/** What is to be done with a file. */
type Plan =
  | { name: string; do: 'nothing' }
  | { name: string; do: 'remove' }
  /** The file that lies there is this version; `print` as it lies there now. */
  | { name: string; do: 'keep'; version: Version; print: string }
  | { name: string; do: 'place'; version: Version; fresh: boolean }
  /** `kept`: its parts stay, and it may be tried again. */
  | { name: string; do: 'set-aside'; version: Version; fault: RowFault; kept: boolean }

export class FilePlacement {
  readonly #deps: FilePlacementDeps
  /** SHA-256 of files in the folder by name, and when they were hashed: `print` tells whether it still counts. */
  readonly #known = new Map<string, { print: string; sha256: string | undefined; at: number }>()
  /** Names that another program keeps from being written. */
  readonly busy = new Set<string>()

  constructor(deps: FilePlacementDeps) {
    this.#deps = deps
  }

  /**
   * Whether the file in the folder is this version, unharmed. `read`: not by its looks alone, which bytes that went bad on the disk leave as
   * they were.
   */
  async lies(name: string, sha256: string, read: boolean): Promise<boolean> {
    const { parts, placing } = this.#deps
    const placed = parts.placed(name)
    if (placed?.sha256 !== sha256) return false
    return this.#holds(await placing.look(name), { name, ...(!read && { placed }) }, sha256)
  }

  async #holds(lying: Lying | undefined, { name, placed }: { name: string; placed?: PlacedFile }, sha256: string): Promise<boolean> {
    if (!lying?.file) return false
    const known = this.#known.get(name)
    const knows = known?.print === lying.print && performance.now() - known.at < knownFor
    if (knows) return known.sha256 === sha256
    if (placed?.print === lying.print && placed.sha256 === sha256) return true
    const found = await this.#deps.placing.hash(name)
    if (this.#known.size >= maxKnown) this.#known.clear()
    this.#known.set(name, { print: lying.print, sha256: found, at: performance.now() })
    return found === sha256
  }

  /** All names that wait. @returns how many files were newly set aside. */
  async settle(generation: number): Promise<number> {
    const { parts } = this.#deps
    let aside = 0
    // What goes may make room for what comes: a file for a folder, another spelling.
    const goes = (name: string): boolean => parts.versions(generation, name).length === 0
    let gone = false
    for (const names of this.#pages(goes)) {
      gone = true
      aside += await this.#settleSome(generation, names)
    }
    if (gone) this.#pendKept(generation)
    for (const names of this.#pages((name) => !goes(name))) aside += await this.#settleSome(generation, names)
    return aside
  }

  /** With what was set aside and kept. @returns how many files that was. */
  async tryAgain(generation: number): Promise<number> {
    const tried = this.#pendKept(generation)
    await this.settle(generation)
    return tried
  }

  #pendKept(generation: number): number {
    const { store, parts } = this.#deps
    const rows = store.all('select row from quarantine where generation = ? and row is not null', generation)
    if (rows.length > 0) store.transaction(() => rows.forEach((row) => parts.pend((JSON.parse(String(row['row'])) as string[])[0]!)))
    return rows.length
  }

  *#pages(concerns: (name: string) => boolean): Generator<string[]> {
    let after = ''
    for (let all = this.#deps.parts.pending(after, atOnce); all.length > 0; all = this.#deps.parts.pending(after, atOnce)) {
      after = all.at(-1)!
      const names = all.filter(concerns)
      if (names.length > 0) yield names
    }
  }

  async #settleSome(generation: number, names: readonly string[]): Promise<number> {
    const { store, parts, placing, files } = this.#deps
    const plans: Plan[] = []
    await inParallel(names, async (name) => void plans.push(await this.#plan(generation, name)))
    const spellings = new Map<string, string>()
    for (const [i, plan] of plans.entries()) plans[i] = this.#apart(plan, spellings)
    const fresh = plans.filter((plan) => plan.do === 'place' && plan.fresh)
    if (fresh.length > 0) store.transaction(() => fresh.forEach(({ name }) => parts.claim(name)))
    const whole = new Map<string, string>()
    await inParallel([...plans.entries()], async ([i, plan]) => {
      if (plan.do === 'place') whole.set(plan.name, contentOf(await lstat(files.path(plan.version), { bigint: true })))
      plans[i] = await this.#carryOut(plan)
    })
    await placing.flush()
    const prints = new Map<string, string>()
    await inParallel(plans, async (plan) => {
      if (plan.do !== 'place') return
      const print = (await placing.look(plan.name))?.print ?? ''
      // Who edits it in the instant in which it is shown has another file: the next look reads it.
      prints.set(plan.name, print.startsWith(`${whole.get(plan.name)} `) ? print : '')
    })
    const aside = store.transaction(() => plans.reduce((sum, plan) => sum + (this.#writeDown(generation, plan, prints) ? 1 : 0), 0))
    for (const plan of plans) if (leavesParts(plan) && !parts.isHeld(plan.name, plan.version.sha256)) await files.discard(plan.version)
    return aside
  }

  async #plan(generation: number, name: string): Promise<Plan> {
    const { parts, files, placing } = this.#deps
    const version = parts.complete(generation, name)
    if (!version) return parts.versions(generation, name).length === 0 ? { name, do: 'remove' } : { name, do: 'nothing' }
    const placed = parts.placed(name)
    const other = placed ? undefined : parts.alike(name, placing.folded(name))
    if (other !== undefined) return refused(version, 'name', spelling(other))
    const lying = await placing.look(name)
    if (await this.#holds(lying, { name, ...(placed && { placed }) }, version.sha256))
      return { name, do: 'keep', version, print: lying!.print }
    if (version.held < version.parts) return { name, do: 'nothing' }
    if (lying && !placed) return refused(version, 'name', notOurs)
    const verified = await files.verify(version)
    if (verified === 'good') return { name, do: 'place', version, fresh: !placed }
    return { ...refused(version, 'sha256', faultOf[verified]), kept: false }
  }

  /** Of two names that the file system takes for the same the second one is set aside. */
  #apart(plan: Plan, spellings: Map<string, string>): Plan {
    if (plan.do !== 'place' || !plan.fresh) return plan
    const folded = this.#deps.placing.folded(plan.name)
    const other = spellings.get(folded)
    if (other !== undefined) return refused(plan.version, 'name', spelling(other))
    spellings.set(folded, plan.name)
    return plan
  }

  async #carryOut(plan: Plan): Promise<Plan> {
    const { files, placing, parts } = this.#deps
    const { name } = plan
    this.busy.delete(name)
    if (plan.do === 'remove' && parts.placed(name) && !(await placing.remove(name))) {
      this.busy.add(name)
      return { name, do: 'nothing' }
    }
    if (plan.do !== 'place') return plan
    const why = await placing.place(files.path(plan.version), name, plan.fresh)
    if (!why) return plan
    if (why.busy) this.busy.add(name)
    return refused(plan.version, 'name', why.reason)
  }

  /** @returns whether the file is newly set aside. */
  #writeDown(generation: number, plan: Plan, prints: ReadonlyMap<string, string>): boolean {
    const { store, parts, placing } = this.#deps
    const { name } = plan
    if (plan.do !== 'nothing' || !this.busy.has(name)) parts.settled(name)
    if (plan.do === 'nothing') return false
    if (plan.do === 'set-aside') {
      if (!plan.kept) parts.release(generation, name, plan.version.sha256)
      if (!parts.placed(name)) parts.displace(name)
      return store.quarantine(generation, plan.fault, plan.kept ? fileKey(name) : undefined)
    }
    store.clear(generation, fileKey(name))
    if (plan.do === 'remove') {
      parts.displace(name)
      return false
    }
    const { sha256 } = plan.version
    parts.place({ name, sha256, print: plan.do === 'keep' ? plan.print : prints.get(name)! }, placing.folded(name))
    parts.release(generation, name, sha256)
    return false
  }
}

/** Whether parts may lie there that are not wanted any more. */
function leavesParts(plan: Plan): plan is Plan & { version: Version } {
  return (plan.do === 'keep' && plan.version.held > 0) || (plan.do === 'set-aside' && !plan.kept)
}

const faultOf = {
  bad: { zh: '全文件 SHA-256 与提供方签名的不符', en: 'the SHA-256 of the whole is not the one that the provider signed' },
  missing: { zh: '已收到的分段丢失，需重新发送', en: 'parts that had come are lost: the file must be sent again' },
}

/** A file is set aside as one, by the key of its first part. */
export function fileKey(name: string): string[] {
  return [name, '0']
}

function spelling(other: string): LocalizedText {
  return {
    zh: `与 ${other} 仅大小写等写法不同，此目录不能区分`,
    en: `it differs from ${other} only in spelling, which this folder does not tell apart`,
  }
}

function refused(version: Version, item: string, reason: LocalizedText): Plan & { do: 'set-aside' } {
  const { name } = version
  return { name, do: 'set-aside', version, fault: { key: fileKey(name), code: 'QZ-ROW-REFUSED', item, reason }, kept: true }
}
