import { randomBytes, timingSafeEqual } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { request } from 'undici'
import { codedError, fromProblem, QianzhiError, toProblem } from '../../protocol/errors.ts'
import { writeDurably } from '../runtime/state.ts'

/**
 * How the commands reach the running agent: HTTP on 127.0.0.1 with a secret from `control.json` in the data folder, which only its
 * owner may read. It also keeps a second agent off the data folder.
 */
export type ControlHandlers = Record<string, (body: Record<string, string>) => unknown>

export interface Control {
  close(): Promise<void>
}

/** Throws QZ-DATA-LOCKED where another agent answers on this data folder. */
export async function openControl(folder: string, handlers: ControlHandlers): Promise<Control> {
  if (await callControl(folder, 'ping').catch(() => undefined)) throw new QianzhiError('QZ-DATA-LOCKED', { folder })
  const secret = randomBytes(24).toString('base64url')
  const server = createServer((incoming, answer) => void answerCall(incoming, answer, secret, { ping: () => ({}), ...handlers }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const path = join(folder, 'control.json')
  writeDurably(path, JSON.stringify({ port: (server.address() as AddressInfo).port, secret, pid: process.pid }))
  return {
    async close() {
      rmSync(path, { force: true })
      server.close()
      server.closeAllConnections()
    },
  }
}

async function answerCall(incoming: IncomingMessage, answer: ServerResponse, secret: string, handlers: ControlHandlers): Promise<void> {
  const given = Buffer.from(incoming.headers.authorization ?? '')
  const wanted = Buffer.from(`Bearer ${secret}`)
  const handler = handlers[(incoming.url ?? '/').slice(1)]
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted) || !handler) {
    answer.writeHead(401).end()
    return
  }
  try {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Record<string, string>
    const value = JSON.stringify(await handler(body))
    answer.writeHead(200, { 'content-type': 'application/json' }).end(value)
  } catch (error) {
    const problem = toProblem(codedError(error))
    answer.writeHead(problem.status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem))
  }
}

/** Of a command that needs the running agent, where none runs. */
export function noRunningAgent(): QianzhiError {
  return new QianzhiError('QZ-NOT-FOUND', { what: { zh: '使用此数据目录且正在运行的代理', en: 'a running agent on this data folder' } })
}

/** Asks the running agent. Undefined where none runs on this data folder. Throws the agent's own coded errors. */
export async function callControl(folder: string, call: string, body: Record<string, string> = {}): Promise<unknown> {
  const path = join(folder, 'control.json')
  if (!existsSync(path)) return undefined
  try {
    // One that is damaged is nobody's: the next start writes it anew.
    const { port, secret } = JSON.parse(readFileSync(path, 'utf8')) as { port: number; secret: string }
    const answer = await request(`http://127.0.0.1:${port}/${call}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}` },
      body: JSON.stringify(body),
      headersTimeout: 30_000,
    })
    if (answer.statusCode === 401) return undefined
    const value: unknown = await answer.body.json()
    if (answer.statusCode >= 300) throw fromProblem(value) ?? new QianzhiError('QZ-INTERNAL', { reason: JSON.stringify(value) })
    return value
  } catch (error) {
    if (error instanceof QianzhiError) throw error
    return undefined
  }
}
