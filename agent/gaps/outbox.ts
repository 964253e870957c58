import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { gapKey, gapRequest, type GapRequest } from '../../protocol/gap.ts'
import { readStatement, type SigningKey } from '../../protocol/signature.ts'
import type { ResolvedFolder } from '../config/folders.ts'
import { claimFolder, requireFolder, unreachable } from '../folders/store/owner.ts'
import { folderOf, innerFile, listFiles, putFile, receiptsFolder, requestsFolder, statementText } from './files.ts'
import { keyOf, type Lack } from './route-inbox.ts'

export interface GapOutboxDeps {
  folder: ResolvedFolder
  agent: string
  /** The agent's data folder. */
  data: string
  key: SigningKey
  /** Milliseconds after which the outside is asked again for the same. */
  again: number
  clock: () => Date
}

/** The folder out of which a gap carries what this agent says: its key, receipts and requests. Each file has a name of its own; the newest one counts. */
export class GapOutbox {
  readonly #deps: GapOutboxDeps
  readonly #asked = new Map<string, { key: string; at: number }>()
  #claimed = false

  constructor(deps: GapOutboxDeps) {
    this.#deps = deps
  }

  async #require(): Promise<void> {
    const { folder, agent, data } = this.#deps
    if (this.#claimed) return requireFolder({ path: folder.path, agent })
    await claimFolder({ path: folder.path, agent, data })
    this.#claimed = true
  }

  /** Introduces this agent, which has perhaps no name yet: its receipts and requests count once the outside has accepted the key. */
  async introduce(): Promise<void> {
    const { agent, key, clock } = this.#deps
    const statement = { kind: 'gap-key' as const, agent, publicKey: key.publicKey, time: clock().toISOString() }
    await this.#put(innerFile, statementText(gapKey.sign(statement, key), statement))
  }

  /** `jws`: a receipt for the hub, as it would go there. */
  async receipt(route: string, what: string, jws: string): Promise<void> {
    await this.#newest(folderOf(receiptsFolder, route), what, statementText(jws, readStatement(jws) ?? {}))
  }

  /** Asks for what is missing, once in a while. */
  async request(route: string, lack: Lack): Promise<void> {
    const { key, clock, again } = this.#deps
    const asked = this.#asked.get(route)
    const what = keyOf(lack)
    if (asked?.key === what && performance.now() - asked.at < again) return
    const wanted = 'batches' in lack ? lack : { snapshot: wish(lack) }
    const request = { kind: 'gap-request' as const, route, ...wanted, time: clock().toISOString() }
    await this.#newest(folderOf(requestsFolder, route), 'request', statementText(gapRequest.sign(request, key), request))
    this.#asked.set(route, { key: what, at: performance.now() })
  }

  /** Writes a file under a name that was never there, and removes those it takes the place of. */
  async #newest(folder: string, what: string, text: string): Promise<void> {
    const { path } = this.#deps.folder
    const name = `${what}.${this.#deps.clock().getTime()}.json`
    const older = (await listFiles([join(path, folder)]).catch(() => [])).filter((file) => file.name !== name)
    await this.#write(join(folder, name), text)
    for (const file of older) await rm(file.path, { force: true }).catch(() => undefined)
  }

  async #write(name: string, text: string): Promise<void> {
    await this.#require()
    await this.#put(name, text)
  }

  async #put(name: string, text: string): Promise<void> {
    const { path } = this.#deps.folder
    try {
      await putFile(join(path, name), text)
    } catch (error) {
      throw unreachable(path, error)
    }
  }
}

function wish({ after, epoch }: Extract<Lack, { after: unknown }>): NonNullable<GapRequest['snapshot']> {
  return { after: after && { epoch: after.epoch, seq: after.seq }, ...(epoch && { epoch }) }
}
