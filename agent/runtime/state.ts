import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LowSync, type SyncAdapter } from 'lowdb'
import type { MorningLine } from '../../protocol/api.ts'
import { QianzhiError } from '../../protocol/errors.ts'
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

/** The agent's key from `agent.key`, made on first use. */
export function openKey(folder: string): SigningKey {
  const path = join(folder, 'agent.key')
  if (existsSync(path)) return signingKeyFromPem(readFileSync(path, 'utf8'))
  const key = generateSigningKey()
  writeDurably(path, signingKeyToPem(key))
  return key
}

/** lowdb adapter: temporary file, flush, rename, flush folder, so that a crash leaves the old state or the new one. */
class DurableJsonFile implements SyncAdapter<AgentState> {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  read(): AgentState | null {
    return existsSync(this.#path) ? (JSON.parse(readFileSync(this.#path, 'utf8')) as AgentState) : null
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
