import { watch, type FSWatcher } from 'chokidar'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { PollRequest } from '../../protocol/api.ts'
import { errorForLog, QianzhiError } from '../../protocol/errors.ts'
import { gapStatement, type GapStatement } from '../../protocol/gap.ts'
import { openPolicy, type Policy } from '../../protocol/policy.ts'
import type { Position } from '../../protocol/position.ts'
import type { Gap } from '../config/gaps.ts'
import { arrivingMark, claimFolder, requireFolder, unreachable } from '../folders/store/owner.ts'
import { Wake } from '../runtime/wake.ts'
import { doneFolder, gapFile, listFiles, listFolders, readStatementFile, rejectedFolder } from './files.ts'
import { RouteInbox, type Found } from './route-inbox.ts'

export interface GapInboxDeps {
  gap: Gap & { in: NonNullable<Gap['in']> }
  identity: { agent: string; hubKey: string; outer?: string }
  policy: () => Policy | undefined
  logger: Logger
}

/** The policy that the outside handed in last, or why there is none. */
export type HandedPolicy = { jws: string; serial: number } | { error: QianzhiError }

/** The folder in which the outside's files arrive. */
export class GapInbox {
  readonly #deps: GapInboxDeps
  readonly #routes = new Map<string, RouteInbox>()
  readonly #changed = new Wake()
  #watcher: FSWatcher | undefined
  #handed: { stamp: string; policy: HandedPolicy } | undefined

  constructor(deps: GapInboxDeps) {
    this.#deps = deps
  }

  /** Throws QZ-FOLDER-UNREACHABLE, QZ-FOLDER-SHARED. */
  async require(): Promise<void> {
    const { gap, identity, logger } = this.#deps
    const { path } = gap.in
    if (this.#watcher) return requireFolder({ path, agent: identity.agent }, arrivingMark)
    await claimFolder({ path, agent: identity.agent }, arrivingMark)
    // Only wakes: what there is, is looked for. Shares lose events.
    this.#watcher = watch(path, { ignoreInitial: true, depth: 1, followSymlinks: false, ignored: /[/\\](?:done|rejected)(?:[/\\]|$)/ })
    this.#watcher.on('all', () => this.#changed.fire())
    this.#watcher.on('error', (error) => logger.debug({ folder: path, err: errorForLog(error) }, 'folder is not watched'))
  }

  /** Waits until something may have arrived, at most so long. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    await this.#changed.wait(Math.min(milliseconds, this.#deps.gap.in.look * 1000), signal)
  }

  /** What `gap.json` brings: signed by the pinned outer agent, and in it by the pinned hub. */
  async policy(): Promise<HandedPolicy> {
    const { path } = this.#deps.gap.in
    const [file] = (await this.#read(() => listFiles([path]))).filter(({ name }) => name.toLowerCase() === gapFile)
    if (!file)
      return { error: new QianzhiError('QZ-GAP-STATEMENT', { reason: { zh: `${path} 中没有 gap.json`, en: `no gap.json in ${path}` } }) }
    const stamp = `${file.path} ${file.size} ${file.modified}`
    if (this.#handed?.stamp !== stamp) {
      const policy = await this.#read(() => this.#open(file.path))
      // What cannot be read is perhaps being written.
      this.#handed = { stamp: 'error' in policy ? '' : stamp, policy }
    }
    return this.#handed.policy
  }

  async #open(path: string): Promise<HandedPolicy> {
    const { hubKey, agent, outer } = this.#deps.identity
    const jws = await readStatementFile(path)
    const statement = jws === undefined || outer === undefined ? undefined : gapStatement.open(jws, outer)
    if (statement?.agent !== agent) return { error: statementError(jws, statement) }
    try {
      return { jws: statement.policy, serial: openPolicy(statement.policy, hubKey, agent, 0).serial }
    } catch (error) {
      return { error: error as QianzhiError }
    }
  }

  /** Looks for what follows on a route. `applied`: how far this agent has said that it has applied it. */
  async look(ask: PollRequest['routes'][number], applied: Position | undefined): Promise<Found> {
    const { gap, identity, policy, logger } = this.#deps
    const receive = policy()?.receive.find(({ route }) => route === ask.route)
    if (!receive) return { batches: [], pending: false }
    let inbox = this.#routes.get(ask.route)
    if (!inbox) {
      const { path, stable } = gap.in
      const context = {
        path,
        stable: stable * 1000,
        applied: gap.applied,
        grace: gap.grace,
        outerKey: identity.outer ?? '',
        hubKey: identity.hubKey,
        logger,
      }
      this.#routes.set(ask.route, (inbox = new RouteInbox(ask.route, context)))
    }
    return this.#read(async () => inbox.look((await listFolders(gap.in.path)).get(ask.route) ?? [], ask, receive, applied))
  }

  /** Files of routes whose data goes. */
  async removeEnded(): Promise<void> {
    const { gap, policy } = this.#deps
    const ended = (policy()?.ended ?? []).filter(({ data }) => data === 'remove')
    if (ended.length === 0) return
    await this.#read(async () => {
      for (const root of [gap.in.path, join(gap.in.path, doneFolder), join(gap.in.path, rejectedFolder)]) {
        const folders = await listFolders(root)
        for (const { route } of ended) for (const folder of folders.get(route) ?? []) await rm(folder, { recursive: true, force: true })
      }
    })
  }

  async #read<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw unreachable(this.#deps.gap.in.path, error)
    }
  }

  async close(): Promise<void> {
    await this.#watcher?.close()
  }
}

function statementError(jws: string | undefined, statement: GapStatement | undefined): QianzhiError {
  const reason =
    jws === undefined
      ? { zh: '无法读取', en: 'it cannot be read' }
      : statement
        ? { zh: `它属于代理 ${statement.agent}`, en: `it is of agent ${statement.agent}` }
        : { zh: '签名不是登记时的外侧代理', en: 'it is not signed by the outer agent that was pinned at enrolment' }
  return new QianzhiError('QZ-GAP-STATEMENT', { reason })
}
