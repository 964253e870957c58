import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { pinnedConnection } from '../../protocol/pinned-connection.ts'

export interface ConnectionOptions {
  /** PEM of the authority that must have signed the hub's certificate; without it the system's. */
  ca?: string | undefined
  /** An HTTP CONNECT proxy. */
  proxy?: string | undefined
}

const timeout = 10_000

/** Connections idle for 10 s are not used again: firewalls on the way cut them at 20. */
export function openConnections({ ca, proxy }: ConnectionOptions): Dispatcher {
  // A session that is taken up again shows no certificate.
  const tls = buildConnector({ timeout, allowH2: false, ...(ca && { rejectUnauthorized: false, maxCachedSessions: 0 }) })
  const direct = ca ? pinnedConnection(tls, ca) : tls
  const connect = proxy ? throughProxy(proxy, direct) : direct
  return new Agent({ keepAliveTimeout: 10_000, keepAliveMaxTimeout: 10_000, connections: 8, pipelining: 1, connect })
}

function throughProxy(proxy: string, connect: buildConnector.connector): buildConnector.connector {
  const { protocol, hostname, port, username, password } = new URL(proxy)
  const secret = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  const authorization = username ? { 'proxy-authorization': `Basic ${secret}` } : {}
  return (options, callback) => {
    const path = `${options.hostname}:${options.port || 443}`
    const asked = (protocol === 'https:' ? https : http).request({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port || (protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path,
      headers: { host: path, ...authorization },
      agent: false,
      timeout,
    })
    const refused = (reason: string) => new Error(`proxy ${hostname}: ${reason}`)
    asked.once('connect', ({ statusCode }, httpSocket: Socket) => {
      httpSocket.setTimeout(0)
      if (statusCode === 200) return connect({ ...options, httpSocket }, callback)
      httpSocket.destroy()
      callback(refused(`HTTP ${statusCode}`), null)
    })
    asked.once('timeout', () => asked.destroy(refused('time-out')))
    asked.once('error', (error) => callback(error, null))
    asked.end()
  }
}

/** What the hub says the time is, read before its certificate is believed: to tell what is wrong, and for nothing else. */
export function askTime(url: string): Promise<Date | undefined> {
  return new Promise((resolve) => {
    const asked = https.request(new URL('/health', url), { method: 'HEAD', rejectUnauthorized: false, agent: false, timeout })
    asked.once('response', (answer) => {
      const time = new Date(String(answer.headers.date))
      answer.destroy()
      resolve(Number.isNaN(time.getTime()) ? undefined : time)
    })
    asked.once('timeout', () => asked.destroy())
    asked.once('error', () => resolve(undefined))
    asked.end()
  })
}
