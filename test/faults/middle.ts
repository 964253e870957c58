/** A man in the middle: an HTTPS server with the hub's own certificate, which passes requests on to the hub and may change the answers. */
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { agentPaths, decodeDelivery, encodeDelivery, type DeliveryHeader, type PollRequest } from '../../protocol/api.ts'
import type { Exchange } from '../support/exchange.ts'

export interface Delivered {
  header: DeliveryHeader
  batches: { route: string; bytes: Buffer }[]
}

export interface Middle {
  readonly url: string
  /** Changes what the hub answers to a poll, in place. */
  delivery: ((delivered: Delivered, asked: PollRequest) => void) | undefined
  /** Changes the hub's receipt for a batch. */
  receipt: ((receipt: string) => string) | undefined
  close(): Promise<void>
}

export async function startMiddle({ folder, port }: Exchange): Promise<Middle> {
  const pem = readFileSync(join(folder, 'hub', 'tls', 'server.pem'), 'utf8')
  const at = pem.indexOf('-----BEGIN CERTIFICATE-----')
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false }, headersTimeout: 0 })
  const middle: Middle = { url: '', delivery: undefined, receipt: undefined, close }
  const server = createServer({ key: pem.slice(0, at), cert: pem.slice(at) }, (incoming, answer) => {
    pass(incoming, answer).catch(() => answer.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(middle, { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` })

  async function pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const gone = new AbortController()
    answer.once('close', () => gone.abort())
    const { connection: _, 'transfer-encoding': __, ...headers } = incoming.headers
    const method = incoming.method as 'GET' | 'POST'
    const url = `https://127.0.0.1:${port}${incoming.url}`
    const given = await request(url, {
      method,
      headers: headers as Record<string, string>,
      body: method === 'GET' ? null : body,
      dispatcher,
      signal: gone.signal,
    })
    let bytes: Buffer = Buffer.from(await given.body.arrayBuffer())
    if (given.statusCode === 200) bytes = change(incoming.url ?? '', body, bytes)
    const type = given.headers['content-type']
    answer.writeHead(given.statusCode, { 'content-type': String(type), 'content-length': bytes.length }).end(bytes)
  }

  function change(path: string, asked: Buffer, bytes: Buffer): Buffer {
    if (path === agentPaths.batches && middle.receipt) {
      const { receipt } = JSON.parse(bytes.toString()) as { receipt: string }
      return Buffer.from(JSON.stringify({ receipt: middle.receipt(receipt) }))
    }
    if (path !== agentPaths.poll || !middle.delivery) return bytes
    const delivered: Delivered = decodeDelivery(bytes)
    middle.delivery(delivered, JSON.parse(asked.toString()) as PollRequest)
    const { header, batches } = delivered
    const listed = batches.map((batch) => ({ route: batch.route, length: batch.bytes.length }))
    return encodeDelivery(
      { ...header, batches: listed },
      batches.map((batch) => batch.bytes),
    )
  }

  async function close(): Promise<void> {
    server.closeAllConnections()
    server.close()
    await dispatcher.destroy()
  }
}
