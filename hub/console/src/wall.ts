/** What a wall screen is told: the whole at short intervals, and at once when something moved. */
import { useEffect, useRef, useState } from 'react'
import { call, Problem, send } from './api.ts'
import { tellLine, type LineMoved } from './live.ts'
import type { Flow } from './rails.ts'

export interface Counts {
  updated: number
  explained: number
  overdue: number
  excused: number
}

export interface Wall {
  now: string
  agencies: { connected: number; all: number }
  resources: number
  age: { median: number | null; p99: number | null }
  edges: Flow[]
  duties: Counts & { worst: (Counts & { agency: string; agencyName?: string | null })[] }
  applications: {
    waiting: number
    overdue: number
    meanDays: number | null
    days: { day: string; submitted: number; approved: number; rejected: number; withdrawn: number }[]
  }
  corrections: { ended: number; all: number }
  acts: { at: string; act: string; title: string | null; agencyName?: string | null }[]
}

/** A line between two agencies that stands otherwise than before. */
export interface Turned {
  at: string
  edge: Flow
}

export interface Seen {
  wall: Wall | undefined
  /** Time of the hub less that of this machine, in milliseconds. */
  offset: number
  /** When the last answer came, by this machine; whether the newest question was answered. */
  answered: number
  fresh: boolean
  /** Neither a key nor a session opens it. */
  refused: boolean
  turned: readonly Turned[]
}

/** Milliseconds between two looks, and after which rows that moved are looked at. */
const [every, soon] = [10_000, 1500]

/**
 * The secret stands behind `#` of the link: it is read once, taken out of the address, and given to the hub for a cookie that no script reads.
 * Where there is none, who is signed in sees the wall, too.
 */
export function useWall(): Seen {
  const [seen, setSeen] = useState<Seen>({ wall: undefined, offset: 0, answered: Date.now(), fresh: true, refused: false, turned: [] })
  const secret = useRef<string>(undefined)
  useEffect(() => {
    if (location.hash.length > 1) {
      secret.current = decodeURIComponent(location.hash.slice(1))
      history.replaceState(null, '', location.pathname)
    }
    const ending = new AbortController()
    const { signal } = ending
    const screen = new Screen(signal, secret, (wall) => setSeen((before) => next(before, wall)))
    void screen.run()
    return () => ending.abort()
  }, [])
  return seen
}

function next(before: Seen, answer: Wall | Problem): Seen {
  if (answer instanceof Problem) return { ...before, fresh: false, refused: answer.status === 401 || answer.status === 403 }
  const known = new Map(before.wall?.edges.map((edge) => [`${edge.provider} ${edge.receiver}`, edge.state]))
  const turned = answer.edges.filter((edge) => {
    const state = known.get(`${edge.provider} ${edge.receiver}`)
    return state !== undefined && state !== edge.state && [state, edge.state].some((one) => one === 'held' || one === 'partial')
  })
  return {
    wall: answer,
    offset: Date.parse(answer.now) - Date.now(),
    answered: Date.now(),
    fresh: true,
    refused: false,
    turned: [...turned.map((edge) => ({ at: answer.now, edge })), ...before.turned].slice(0, 12),
  }
}

class Screen {
  readonly #signal: AbortSignal
  readonly #secret: { current: string | undefined }
  readonly #show: (answer: Wall | Problem) => void
  #display = true
  #stream: EventSource | undefined
  #wake = () => {}

  constructor(signal: AbortSignal, secret: { current: string | undefined }, show: (answer: Wall | Problem) => void) {
    this.#signal = signal
    this.#secret = secret
    this.#show = show
    signal.addEventListener('abort', () => this.#stream?.close())
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        const wall = await this.#look()
        this.#show(wall)
        this.#listen()
      } catch (error) {
        if (this.#signal.aborted) return
        this.#show(error instanceof Problem ? error : new Problem(0, {}))
      }
      await this.#pause()
    }
  }

  async #look(): Promise<Wall> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(every)])
    try {
      if (this.#secret.current !== undefined) {
        await send('POST', '/api/v1/display', { body: { secret: this.#secret.current }, signal })
        this.#secret.current = undefined
      }
      return await call<Wall>('wall.read', { display: this.#display, signal })
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401 || !this.#display) throw error
      // No key: whoever is signed in may see it.
      this.#secret.current = undefined
      const wall = await call<Wall>('wall.read', { signal })
      this.#display = false
      return wall
    }
  }

  #listen(): void {
    if (this.#stream && this.#stream.readyState !== EventSource.CLOSED) return
    const stream = new EventSource(this.#display ? '/api/v1/events?display=1' : '/api/v1/events')
    this.#stream = stream
    stream.addEventListener('line', ({ data }: MessageEvent<string>) => {
      tellLine(JSON.parse(data) as LineMoved)
      setTimeout(() => this.#wake(), soon)
    })
    for (const name of ['open', 'error']) stream.addEventListener(name, () => this.#wake())
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, every)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
