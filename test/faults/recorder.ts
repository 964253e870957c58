/** Stands between an agent and the hub with the hub's own certificate, and keeps what passes, so that it can be sent again, late. */
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent, request } from 'undici'

export interface Recorded {
  method: string
  path: string
  headers: Record<string, string>
  body: Buffer
  answer?: Answer
}

export interface Answer {
  status: number
  type: string
  body: Buffer
}

export interface Recorder {
  readonly url: string
  /** Requests in the order in which they were answered. */
  readonly recorded: readonly Recorded[]
  /** The same bytes once more, straight to the hub. */
  resend(recorded: Recorded): Promise<Answer>
  close(): Promise<void>
}

/** `pem` holds the hub's certificate chain and its key. */
export async function startRecorder(pem: string, hub: string): Promise<Recorder> {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  const recorded: Recorded[] = []

  const send = async ({ method, path, headers, body }: Recorded, signal: AbortSignal | null = null): Promise<Answer> => {
    const answer = await request(hub + path, {
      method: method as 'GET' | 'POST',
      headers,
      body: body.length > 0 ? body : null,
      dispatcher,
      signal,
    })
    return { status: answer.statusCode, type: String(answer.headers['content-type']), body: Buffer.from(await answer.body.arrayBuffer()) }
  }

  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const gone = new AbortController()
    outgoing.once('close', () => gone.abort())
    try {
      const passing = await read(incoming)
      passing.answer = await send(passing, gone.signal)
      recorded.push(passing)
      outgoing.writeHead(passing.answer.status, { 'content-type': passing.answer.type }).end(passing.answer.body)
    } catch {
      outgoing.destroy()
    }
  }

  const server = createServer({ cert: pem, key: pem }, (incoming, outgoing) => void pass(incoming, outgoing))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    recorded,
    resend: (old) => send(old),
    async close() {
      server.close()
      server.closeAllConnections()
      await dispatcher.destroy()
    },
  }
}

/** Without the headers that belong to the connection. */
async function read(incoming: IncomingMessage): Promise<Recorded> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const kept = Object.entries(incoming.headers).filter(
    ([name]) => !['host', 'connection', 'content-length', 'transfer-encoding'].includes(name),
  )
  return {
    method: incoming.method!,
    path: incoming.url!,
    headers: Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
    body: Buffer.concat(chunks),
  }
}
