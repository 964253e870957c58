/** Where the hub may send to: what hub.yaml allows, and never into its own network unless that is named. */
import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import type { LocalizedText } from '../../../protocol/localized.ts'

/** Host names (`push.water.example.gov.cn`, `*.example.gov.cn`), addresses and networks (`10.20.0.0/16`). */
export class AllowList {
  readonly #names = new Set<string>()
  readonly #networks = new BlockList()

  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const network = networkOf(entry)
      if (network) this.#networks.addSubnet(network.address, network.bits, network.family)
      else this.#names.add(entry.toLowerCase())
    }
  }

  /**
   * Whether a connection may be made to this address of a host. A named network allows what is in it; a named host allows public addresses
   * alone: not loopback, link-local, private or otherwise special ones, nor those of the networks that the hub itself is in.
   */
  allows(host: string, address: string): boolean {
    const plain = ipaddr.process(address)
    if (this.#networks.check(plain.toString(), plain.kind())) return true
    return this.#isNamed(host) && plain.range() === 'unicast' && !ownNetworks().check(plain.toString(), plain.kind())
  }

  #isNamed(host: string): boolean {
    const labels = host.split('.')
    return this.#names.has(host) || labels.some((_, i) => i > 0 && this.#names.has(`*.${labels.slice(i).join('.')}`))
  }
}

function ownNetworks(): BlockList {
  const list = new BlockList()
  for (const { cidr, family } of Object.values(networkInterfaces()).flatMap((found) => found ?? [])) {
    const [address, bits] = cidr?.split('/') ?? []
    if (address !== undefined) list.addSubnet(address, Number(bits), family === 'IPv6' ? 'ipv6' : 'ipv4')
  }
  return list
}

function networkOf(entry: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', bits] = entry.split('/')
  const family = isIP(address)
  if (family === 0) return undefined
  return { address, bits: bits === undefined ? (family === 6 ? 128 : 32) : Number(bits), family: family === 6 ? 'ipv6' : 'ipv4' }
}

/** What is wrong with an entry of the list, or undefined. */
export function entryFault(entry: string): LocalizedText | undefined {
  const [address = '', bits, ...more] = entry.split('/')
  const family = isIP(address)
  const inNetwork = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32))
  if (family !== 0 && more.length === 0 && inNetwork) return undefined
  if (/^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?$/i.test(entry)) return undefined
  return { zh: `${entry} 不是主机名、地址或网段`, en: `${entry} is no host name, address or network` }
}

/** The host of a URL as names and addresses are written: without brackets and the dot of the root. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}
