import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LowSync, type SyncAdapter } from 'lowdb'
import type { MorningLine } from '../../protocol/api.ts'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { generateSigningKey, signingKeyFromPem, signingKeyToPem, type SigningKey } from '../../protocol/signature.ts'

/** What the agent remembers outside its databases: who it is, and the newest policy. Positions are never here (guarantee 4). */
export interface AgentState {
  identity?: {
    agent: string
    agency: string
    urls: string[]
    hubKey: string
    /** PEM of the hub's own authority, pinned at enrolment. */
    authority?: string
    /** Behind a one-way gap: public key of the agent outside, pinned at enrolment. */
    outer?: string
  }
  policy?: { serial: number; jws: string }
  /** Pinned provider keys by resource. */
  pins: Record<string, string[]>
  /** Resources and routes that somebody has paused. */
  paused?: string[]
  /** How the last reconciliation of each route ended, by side and route. */
  reconciled?: Record<string, { resource: string; time: string; equal: boolean }>
  /** Bytes of a batch that a gateway on the way to the hub lets through. */
  batchSize?: { bytes: number; time: string }
  /** The newest morning line. */
  morning?: MorningLine
}

export type StateFile = LowSync<AgentState>

export function openState(folder: string): StateFile {
  const state = new LowSync<AgentState>(new DurableJsonFile(join(folder, 'state.json')), { pins: {} })
  state.read()
  // A resource may be called `constructor`.
  state.data.pins = Object.assign(Object.create(null) as object, state.data.pins)
  return state
}

/** The identity, or QZ-NOT-ENROLLED. */
export function requireIdentity(state: StateFile): NonNullable<AgentState['identity']> {
  if (!state.data.identity) throw new QianzhiError('QZ-NOT-ENROLLED')
  return state.data.identity
}

/** The agent's key from `agent.key`, made on first use. Throws QZ-FILE-DAMAGED. */
export function openKey(folder: string): SigningKey {
  const path = join(folder, 'agent.key')
  const kept = readKept(path, signingKeyFromPem, enrolAgain)
  if (kept) return kept
  const key = generateSigningKey()
  writeDurably(path, signingKeyToPem(key))
  return key
}

/** The key of an agent that is enrolled: another one would be nobody's. Throws QZ-FILE-DAMAGED. */
export function enrolledKey(folder: string): SigningKey {
  const path = join(folder, 'agent.key')
  if (existsSync(path)) return openKey(folder)
  throw new QianzhiError('QZ-FILE-DAMAGED', { file: path, reason: { zh: '文件不存在', en: 'it is not there' }, remedy: enrolAgain })
}

const enrolAgain = {
  zh: '从备份恢复，或删除 agent.key 和 state.json 后用新令牌执行 qianzhi-agent enroll',
  en: 'restore it from a backup, or delete agent.key and state.json and run qianzhi-agent enroll with a new token',
}

/** What a file in the data folder holds, or undefined where it is not there. Throws QZ-FILE-DAMAGED where `read` cannot read it. */
export function readKept<T>(path: string, read: (text: string) => T, remedy: LocalizedText): T | undefined {
  if (!existsSync(path)) return undefined
  try {
    return read(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new QianzhiError('QZ-FILE-DAMAGED', { file: path, reason: reasonOf(cause), remedy }, { cause })
  }
}

/** For `readKept`: JSON of an object, or a list. */
export function readJson(text: string): object {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new TypeError('no JSON object')
  return value
}

/** lowdb adapter: temporary file, flush, rename, flush folder, so that a crash leaves the old state or the new one. */
class DurableJsonFile implements SyncAdapter<AgentState> {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  read(): AgentState | null {
    return readKept(this.#path, (text): AgentState => ({ pins: {}, ...readJson(text) }), enrolAgain) ?? null
  }

  write(state: AgentState): void {
    writeDurably(this.#path, JSON.stringify(state, undefined, 2))
  }
}

/** Writes a file that only its owner may read, whole or not at all. */
export function writeDurably(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.new`
  const file = openSync(temporary, 'w', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  chmodSync(temporary, 0o600)
  renameSync(temporary, path)
  flushFolder(dirname(path))
}

function flushFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
