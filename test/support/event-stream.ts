/** Watches a hub's events as a browser does. */
import { Agent, request } from 'undici'

const insecure = new Agent({ connect: { rejectUnauthorized: false } })

export interface Told {
  event: string
  data: Record<string, unknown>
}

export interface EventStream {
  status: number
  told: Told[]
  /** Settles when the hub has ended the stream. */
  ended: Promise<void>
  close(): void
}

export async function watchEvents(origin: string, secret: string): Promise<EventStream> {
  const gone = new AbortController()
  const headers = { authorization: `Bearer ${secret}`, accept: 'text/event-stream' }
  const { statusCode, body } = await request(`${origin}/api/v1/events`, { dispatcher: insecure, headers, signal: gone.signal })
  const told: Told[] = []
  const read = async () => {
    let rest = ''
    for await (const piece of body.setEncoding('utf8')) {
      const parts = (rest + String(piece)).split('\n\n')
      rest = parts.pop()!
      for (const part of parts) {
        const event = /^event: (.*)$/m.exec(part)?.[1]
        if (event !== undefined) told.push({ event, data: JSON.parse(/^data: (.*)$/m.exec(part)![1]!) as Told['data'] })
      }
    }
  }
  const ended = read().catch(() => undefined)
  return { status: statusCode, told, ended, close: () => gone.abort() }
}
