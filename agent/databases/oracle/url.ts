/** The address of an Oracle database in the configuration. */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'

export interface Address {
  user: string
  password: string
  /** A connect descriptor: the thin driver and the client library both understand it. */
  descriptor: string
  /** Folder of Oracle's client library: thick mode. */
  client?: string
  wallet?: string
  walletPassword?: string
}

const options = ['client', 'sid', 'protocol', 'wallet', 'walletPassword']

/** Seconds until a server that does not answer is given up. */
const connectSeconds = 10

/**
 * `oracle://user:password@host:1521/service?…`, everything percent-encoded as in any URL. Options:
 * - `sid=ORCL` names an instance instead of a service (then the path is empty);
 * - `client=/opt/oracle/instantclient` loads Oracle's client library (thick mode: servers before 12.1, native encryption);
 * - `protocol=tcps` speaks TLS, with `wallet=/folder` and `walletPassword=…` where the server's certificate or ours lies in a wallet.
 *
 * Throws QZ-CONFIG.
 */
export function addressOf(name: string, url: string): Address {
  const fail = (reason: LocalizedText): never => {
    throw new QianzhiError('QZ-CONFIG', { key: `databases.${name}.url`, reason })
  }
  const parsed = URL.canParse(url)
    ? new URL(url)
    : fail({ zh: '不是 URL，应写作 oracle://user:password@host:1521/service', en: 'is no URL: oracle://user:password@host:1521/service' })
  for (const option of parsed.searchParams.keys()) {
    if (!options.includes(option))
      fail({ zh: `不认识选项 ${option}，可用的有 ${options.join('、')}`, en: `option ${option} is not known: ${options.join(', ')} are` })
  }
  const option = (key: string) => parsed.searchParams.get(key) ?? undefined
  const service = decodeURIComponent(parsed.pathname.slice(1))
  const sid = option('sid')
  const protocol = (option('protocol') ?? 'tcp').toLowerCase()
  if (!['tcp', 'tcps'].includes(protocol))
    fail({ zh: `协议 ${protocol} 不是 tcp 或 tcps`, en: `protocol ${protocol} is neither tcp nor tcps` })
  if (!parsed.hostname) fail({ zh: '未写主机', en: 'names no host' })
  if (!sid === !service)
    fail({ zh: '须写服务名（/service）或实例（?sid=），只能写一个', en: 'names a service (/service) or an instance (?sid=), and not both' })
  const parts = { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: parsed.port || '1521', service, sid }
  for (const part of Object.values(parts)) if (/[()=\s]/.test(part ?? '')) fail({ zh: `${part} 不是名称`, en: `${part} is no name` })
  const client = option('client')
  return {
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    descriptor: descriptor(parts, protocol, client !== undefined),
    ...(client !== undefined && { client }),
    ...(option('wallet') !== undefined && { wallet: option('wallet')! }),
    ...(option('walletPassword') !== undefined && { walletPassword: option('walletPassword')! }),
  }
}

interface Parts {
  host: string
  port: string
  service: string
  sid: string | undefined
}

/** Probes of a silent connection are asked for in the words that each mode knows: old client libraries know no EXPIRE_TIME. */
function descriptor({ host, port, service, sid }: Parts, protocol: string, thick: boolean): string {
  const alive = thick ? '(ENABLE=BROKEN)' : '(EXPIRE_TIME=1)'
  const target = sid ? `(SID=${sid})` : `(SERVICE_NAME=${service})`
  const address = `(ADDRESS=(PROTOCOL=${protocol.toUpperCase()})(HOST=${host})(PORT=${port}))`
  return `(DESCRIPTION=(CONNECT_TIMEOUT=${connectSeconds})(TRANSPORT_CONNECT_TIMEOUT=${connectSeconds})${alive}${address}(CONNECT_DATA=${target}))`
}
