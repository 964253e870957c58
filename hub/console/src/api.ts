/** Calls of the hub's operations by their names. */
import { operations, type Text } from './meta.ts'

/** A refusal as the hub words it (RFC 9457). */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly who: string
  readonly retry: boolean
  readonly detail: Text
  readonly faults: readonly (Text & { in?: string; at?: string })[]

  constructor(status: number, body: Partial<Record<string, any>>) {
    super(body['code'] ?? `HTTP ${status}`)
    this.status = status
    this.code = body['code'] ?? `HTTP ${status}`
    this.who = body['who'] ?? 'operator'
    this.retry = body['retry'] ?? true
    this.detail = body['detail'] ?? { zh: `中心没有应答（HTTP ${status}）`, en: `the hub did not answer (HTTP ${status})` }
    this.faults = body['faults'] ?? []
  }
}

export interface Asked {
  /** Values of the path: `{ id: '7' }`. */
  at?: Readonly<Record<string, string>>
  query?: Readonly<Record<string, string | undefined>>
  /** JSON, or of an upload the file. */
  body?: unknown
  /** The revision that was seen, where the operation decides on it. */
  seen?: string | undefined
  signal?: AbortSignal
  /** Asked by a wall screen: its key counts, and no session. */
  display?: boolean
}

/** What a page asks by itself does not keep its user's session alive: only what follows upon a key or a click does. */
let touched = Date.now()
for (const input of ['pointerdown', 'keydown']) addEventListener(input, () => (touched = Date.now()), { capture: true, passive: true })
const following = 10_000

type Listener = (problem: Problem) => void
const listeners = new Set<Listener>()

/** Told when the session is over, or something must be done before anything else. */
export function onProblem(listener: Listener): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

export function addressOf(name: string, { at = {}, query = {} }: Asked = {}): string {
  const path = operations[name]!.path.replace(/:(\w+)/g, (_, key: string) => encodeURIComponent(at[key] ?? ''))
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '')
  const search = new URLSearchParams(given).toString()
  return `/api/v1${path}${search === '' ? '' : `?${search}`}`
}

/** Throws Problem. */
export async function call<T = any>(name: string, asked: Asked = {}): Promise<T> {
  const { method, upload } = operations[name]!
  // Browsers call CSV by other names, too.
  const type = asked.body instanceof File && /\.csv$/i.test(asked.body.name) ? 'text/csv' : upload
  return send<T>(method, addressOf(name, asked), asked, type)
}

export async function send<T>(
  method: string,
  address: string,
  { body, seen, signal, display }: Asked = {},
  type = 'application/json',
): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (method === 'GET' && Date.now() - touched > following) headers['qz-background'] = '1'
  if (display) headers['qz-display'] = '1'
  if (seen !== undefined) headers['if-match'] = `"${seen}"`
  const init: RequestInit = { method, headers, signal: signal ?? null }
  if (method !== 'GET') {
    headers['content-type'] = type
    init.body = body instanceof Blob ? body : JSON.stringify(body ?? {})
  }
  let answer: Response
  try {
    answer = await fetch(address, init)
  } catch (error) {
    if (signal?.aborted) throw error
    throw new Problem(0, { code: 'QZ-HUB-UNREACHABLE', detail: { zh: '连不上中心', en: 'the hub cannot be reached' } })
  }
  const json = (await answer.json().catch(() => ({}))) as Record<string, unknown>
  if (answer.ok) return json as T
  const problem = new Problem(answer.status, json)
  for (const listener of listeners) listener(problem)
  throw problem
}
