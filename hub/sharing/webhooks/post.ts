/** One signed delivery over a connection of its own, to an address that was checked. */
import { lookup } from 'node:dns/promises'
import { request as requestHttp } from 'node:http'
import { request as requestHttps, type RequestOptions } from 'node:https'
import { sign } from 'node:crypto'
import { isIP } from 'node:net'
import { rootCertificates } from 'node:tls'
import { httpbis } from 'http-message-signatures'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { same, type LocalizedText } from '../../../protocol/localized.ts'
import { contentDigest } from '../../../protocol/request.ts'
import type { SigningKey } from '../../../protocol/signature.ts'
import { hostOf } from './addresses.ts'
import type { WebhookSettings } from './settings.ts'

export interface Delivery {
  url: string
  /** Ids of the webhook and of this portion. */
  webhook: string
  number: number
  /** JSON. */
  body: Buffer
  /** Which of several addresses is taken. */
  attempt: number
}

export interface PostDeps {
  settings: WebhookSettings
  hubKey: SigningKey
  clock: () => Date
  /** Addresses of a host. */
  resolve?: (host: string) => Promise<string[]>
  /** Milliseconds that the receiver has, from the connection to its answer. */
  patience?: number
}

const ownPatience = 30_000

/** What a signature of a delivery covers (RFC 9421); its `tag` keeps it from being taken for another kind of request. */
const covered = ['@method', '@target-uri', 'content-type', 'content-digest', 'qianzhi-webhook', 'qianzhi-delivery']

/** Throws QZ-WEBHOOK-URL where it is no URL that may be called by the settings. Its addresses are looked up when it is called. */
export function requireUrl(text: string, { http }: Pick<WebhookSettings, 'http'>): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== 'https:' && !(http && url.protocol === 'http:')))
    throw refused(text, { zh: '须以 https:// 开头', en: 'it must begin with https://' })
  if (url.username !== '' || url.password !== '' || url.hash !== '')
    throw refused(text, { zh: '不得含有用户名、密码或 #', en: 'it may hold no user, password or #' })
  return url
}

/** Addresses of a receiver that may be connected to. Throws QZ-WEBHOOK-URL where there is none. */
export async function allowedAddresses(
  { settings, resolve = resolveHost }: Pick<PostDeps, 'settings' | 'resolve'>,
  url: URL,
): Promise<string[]> {
  const host = hostOf(url)
  const found = isIP(host)
    ? [host]
    : await resolve(host).catch((error: unknown) => {
        throw refused(url.toString(), same(reasonOf(error)))
      })
  const allowed = found.filter((address) => settings.allowed.allows(host, address))
  if (allowed.length > 0) return allowed
  throw refused(url.toString(), {
    zh: '主机不在中心允许推送的范围内（hub.yaml 的 webhooks.allow；内部网段须写明网段）',
    en: 'the hub may not send there (webhooks.allow of hub.yaml; a network of one’s own must be named as a network)',
  })
}

async function resolveHost(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

/** Nothing may be sent at this moment. */
export class NotNow extends Error {}

type Ready = () => Promise<boolean>

/**
 * Settles when the receiver took it (2xx). `ready` is asked when the connection stands, before anything of the delivery is sent. Throws
 * NotNow where it is not, QZ-WEBHOOK-URL, QZ-WEBHOOK-FAILED.
 */
export async function post(deps: PostDeps, delivery: Delivery, ready: Ready, signal: AbortSignal): Promise<void> {
  const url = requireUrl(delivery.url, deps.settings)
  const headers = await signed(deps, url, delivery)
  const slow = AbortSignal.timeout(deps.patience ?? ownPatience)
  const status = await send(deps, url, { ...delivery, headers }, ready, AbortSignal.any([signal, slow])).catch((error: unknown) => {
    if (error instanceof NotNow || error instanceof QianzhiError) throw error
    throw failed(slow.aborted ? { zh: '超时', en: 'no answer in time' } : same(reasonOf(error)), error)
  })
  if (status >= 200 && status < 300) return
  if (status >= 300 && status < 400)
    throw failed({ zh: `接收方要求重定向（HTTP ${status}），不予跟随`, en: `it redirects (HTTP ${status}), which is not followed` })
  throw failed(same(`HTTP ${status}`))
}

async function send(
  deps: PostDeps,
  url: URL,
  { body, headers, attempt }: Delivery & { headers: Record<string, string> },
  ready: Ready,
  signal: AbortSignal,
): Promise<number> {
  const addresses = await allowedAddresses(deps, url)
  signal.throwIfAborted()
  const host = hostOf(url)
  const secure = url.protocol === 'https:'
  const { ca } = deps.settings
  const options: RequestOptions = {
    method: 'POST',
    // To the address that was checked, whatever the name says by now.
    host: addresses[attempt % addresses.length]!,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, host: url.host, 'content-length': body.length },
    agent: false,
    signal,
    ...(secure && {
      minVersion: 'TLSv1.2',
      servername: isIP(host) ? '' : host,
      ...(ca !== undefined && { ca: [...rootCertificates, ca] }),
    }),
  }
  return new Promise((resolve, reject) => {
    const request = (secure ? requestHttps : requestHttp)(options)
    request.once('error', reject)
    request.once('response', (answer) => {
      answer.destroy()
      resolve(answer.statusCode!)
    })
    request.once('socket', (socket) => {
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        ready().then(
          (is) => void (is ? request.end(body) : request.destroy(new NotNow())),
          (cause: unknown) => request.destroy(new NotNow('not known', { cause })),
        )
      })
    })
  })
}

async function signed({ hubKey, clock }: PostDeps, url: URL, { webhook, number, body }: Delivery): Promise<Record<string, string>> {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-digest': contentDigest(body),
    'qianzhi-webhook': webhook,
    'qianzhi-delivery': String(number),
  }
  const signer = { id: hubKey.id, alg: 'ed25519', sign: async (data: Buffer) => sign(null, data, hubKey.privateKey) }
  const paramValues = { created: clock(), tag: 'qianzhi-webhook' }
  const message = await httpbis.signMessage(
    { key: signer, name: 'qianzhi', fields: covered, params: ['created', 'keyid', 'alg', 'tag'], paramValues },
    { method: 'POST', url: url.toString(), headers },
  )
  return { ...message.headers, 'user-agent': 'qianzhi-hub' }
}

function refused(url: string, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-WEBHOOK-URL', { url: url.slice(0, 200), reason })
}

function failed(reason: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-WEBHOOK-FAILED', { reason }, { cause })
}
