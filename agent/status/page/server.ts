import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Language } from '../../../protocol/errors.ts'
import type { AgentStatus } from '../agent-status.ts'
import { withoutValues } from '../log-tail.ts'
import { contentPolicy, renderPage } from './page.ts'

/**
 * The status page: for whoever sits at this machine, so it listens on 127.0.0.1 alone and answers only who asked for that address by
 * name (a page from elsewhere whose own name was made to point here asks for another host). It can be read and nothing else: two paths,
 * made from the status; no file is served.
 */
export interface PageServer {
  url: string
  close(): Promise<void>
}

export interface PageOptions {
  status: () => AgentStatus
  /** Where the reader asks for none. */
  language: Language
}

/** Throws what the system says where the port is taken. Port 0: any free one. */
export async function openPage(port: number, options: PageOptions): Promise<PageServer> {
  let hosts: readonly string[] = []
  const server = createServer((request, answer) => respond(request, answer, hosts, options))
  server.requestTimeout = 10_000
  server.maxConnections = 50
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const own = (server.address() as AddressInfo).port
  hosts = [`127.0.0.1:${own}`, `localhost:${own}`]
  server.unref()
  return {
    url: `http://127.0.0.1:${own}/`,
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

const headers = {
  'content-security-policy': contentPolicy,
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
}

function respond(request: IncomingMessage, answer: ServerResponse, hosts: readonly string[], options: PageOptions): void {
  const send = (status: number, type: string, body: string, more: Record<string, string> = {}) => {
    const bytes = Buffer.from(body)
    answer.writeHead(status, { ...headers, ...more, 'content-type': `${type}; charset=utf-8`, 'content-length': bytes.length })
    answer.end(request.method === 'HEAD' ? undefined : bytes)
  }
  try {
    if (!hosts.includes(request.headers.host?.toLowerCase() ?? '')) return send(421, 'text/plain', 'ask for 127.0.0.1\n')
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'text/plain', 'GET, HEAD\n', { allow: 'GET, HEAD' })
    const [path, query] = (request.url ?? '/').split('?') as [string, string | undefined]
    if (path === '/status.json') return send(200, 'application/json', publicStatus(options.status()))
    if (path !== '/') return send(404, 'text/plain', 'not found\n')
    const asked = new URLSearchParams(query).get('lang')
    const language = asked === 'zh' || asked === 'en' ? asked : options.language
    send(200, 'text/html', renderPage(options.status(), language), { 'content-language': language === 'zh' ? 'zh-CN' : 'en' })
  } catch {
    // The agent goes on; the next look may see more.
    if (!answer.headersSent) send(500, 'text/plain', 'status is not to be had now\n')
  }
}

/** Every program on this machine may read it: no keys of refused rows, no values that a database's message tells. */
function publicStatus(status: AgentStatus): string {
  return JSON.stringify(status, (name, value: unknown) => {
    if (name === 'examples') return undefined
    return typeof value === 'string' ? withoutValues(value) : value
  })
}
