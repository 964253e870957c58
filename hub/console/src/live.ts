/**
 * What the hub tells of changes, and which queries are asked anew because of it. One stream for all tabs of a browser: the tab that holds the lock
 * reads it and tells the others. A tab that is not seen neither reads nor is told; when it is seen again it asks everything anew.
 */
import type { QueryClient } from '@tanstack/react-query'

export interface LineMoved {
  provider: string
  receiver: string | null
  moved: boolean
}

type Told = { event: string; data: Record<string, unknown> }

const name = 'qianzhi-events'
const moves = new EventTarget()

/** Tells of lines between agencies that stand otherwise, or whose rows arrived. @returns what ends it. */
export function onLine(hear: (line: LineMoved) => void): () => void {
  const heard = (event: Event) => hear((event as CustomEvent<LineMoved>).detail)
  moves.addEventListener('line', heard)
  return () => moves.removeEventListener('line', heard)
}

/** What another stream than the console's tells of a line. */
export function tellLine(line: LineMoved): void {
  moves.dispatchEvent(new CustomEvent('line', { detail: line }))
}

/** Until what is returned is called. */
export function startLive(client: QueryClient): () => void {
  const channel = new BroadcastChannel(name)
  const stale = staleQueries(client)
  const hear = ({ event, data }: Told) => {
    if (event === 'line') tellLine(data as unknown as LineMoved)
    stale.note(event, data)
  }
  channel.addEventListener('message', ({ data }: MessageEvent<Told>) => {
    if (!document.hidden) hear(data)
  })
  const tell = (told: Told) => {
    hear(told)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a broadcast stays within its origin
    channel.postMessage(told)
  }
  let seen: AbortController | undefined
  const look = () => {
    if (document.hidden) {
      seen?.abort()
      seen = undefined
    } else if (!seen) {
      seen = new AbortController()
      void lead(seen.signal, tell)
    }
  }
  const changed = () => {
    look()
    if (!document.hidden) stale.note('changed', { kind: '*' })
  }
  document.addEventListener('visibilitychange', changed)
  look()
  return () => {
    document.removeEventListener('visibilitychange', changed)
    seen?.abort()
    stale.stop()
    channel.close()
  }
}

/** Reads the stream as soon as no other tab does. */
async function lead(signal: AbortSignal, tell: (told: Told) => void): Promise<void> {
  const held = () => read(signal, tell)
  await navigator.locks.request(name, { signal }, held).catch(() => undefined)
}

const events = ['changed', 'todo', 'notice', 'job', 'line']

/** Milliseconds after which a stream that was refused is asked for again: a hub that stops or starts answers so, too. */
const again = 5000

function read(signal: AbortSignal, tell: (told: Told) => void): Promise<void> {
  return new Promise((resolve) => {
    let broken = false
    let source: EventSource | undefined
    let timer: number | undefined
    const open = () => {
      source = new EventSource('/api/v1/events')
      for (const event of events) {
        source.addEventListener(event, ({ data }: MessageEvent<string>) => tell({ event, data: JSON.parse(data) as Told['data'] }))
      }
      source.addEventListener('open', () => {
        if (broken) tell({ event: 'changed', data: { kind: '*' } })
        broken = false
      })
      source.addEventListener('error', ({ target }) => {
        broken = true
        // The browser tries again by itself, but not where it got an answer. If the session is over, whatever is asked next says so.
        if ((target as EventSource).readyState !== EventSource.CLOSED) return
        tell({ event: 'session', data: {} })
        timer = window.setTimeout(open, again)
      })
    }
    const close = () => {
      window.clearTimeout(timer)
      source?.close()
      resolve()
    }
    if (signal.aborted) return close()
    open()
    signal.addEventListener('abort', close)
  })
}

type Key = readonly unknown[]

/** Which queries an event makes stale, by their keys. */
function staleBy(event: string, { kind, id }: Record<string, unknown>): (key: Key) => boolean {
  if (event === 'session') return (key) => key[0] === 'session'
  if (event === 'notice') return (key) => key[0] === 'notices'
  if (event === 'todo') return (key) => key[0] === 'todo' || key[1] === 'case.list'
  if (event === 'line') return (key) => key[0] === 'lines' || key[1] === 'line.list' || (key[0] === 'object' && key[1] === 'agent')
  if (event === 'job') return (key) => key[0] === 'jobs' || key[1] === 'job.list' || (key[1] === 'job' && key[2] === id)
  if (kind === '*') return (key) => key[0] !== 'session'
  return (key) =>
    key[1] === `${String(kind)}.list` ||
    (key[1] === kind && key[2] === id) ||
    (key[0] === 'belonging' && key[2] === id) ||
    (key[0] === 'board' && kind === 'declaration')
}

/** Milliseconds in which what comes is asked for once. Rows arrive all the time: figures follow more slowly than what stands. */
const together = (event: string, { moved }: Record<string, unknown>): number => (event !== 'line' ? 300 : moved === true ? 10_000 : 1500)

function staleQueries(client: QueryClient) {
  const pending = new Map<number, ((key: Key) => boolean)[]>()
  const timers = new Map<number, number>()
  const ask = (after: number) => {
    // What somebody decides on stays as they saw it.
    if (document.querySelector('[role=dialog]')) return void timers.set(after, window.setTimeout(ask, 1000, after))
    const found = pending.get(after) ?? []
    timers.delete(after)
    pending.delete(after)
    void client.invalidateQueries({ predicate: ({ queryKey }) => found.some((fits) => fits(queryKey)) })
  }
  return {
    note: (event: string, data: Record<string, unknown>) => {
      const after = together(event, data)
      pending.set(after, [...(pending.get(after) ?? []), staleBy(event, data)])
      if (!timers.has(after)) timers.set(after, window.setTimeout(ask, after, after))
    },
    stop: () => timers.forEach((timer) => window.clearTimeout(timer)),
  }
}
