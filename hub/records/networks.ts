import { BlockList, isIP } from 'node:net'
import { QianzhiError } from '../../protocol/errors.ts'

/** Of addresses and networks (`10.1.2.0/24`). Throws QZ-REQUEST-INVALID. */
export function networksOf(addresses: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of addresses) {
    const [address = '', bits, ...more] = network.split('/')
    const family = isIP(address)
    const longest = family === 6 ? 128 : 32
    const length = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : NaN
    if (family === 0 || more.length > 0 || !(length <= longest)) {
      const reason = { zh: `${network} 不是地址或网段`, en: `${network} is no address and no network` }
      throw new QianzhiError('QZ-REQUEST-INVALID', { reason })
    }
    list.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

/** Throws QZ-API-ADDRESS where nothing may be called from there; without networks it may from anywhere. */
export function requireWithin(networks: BlockList | null, address: string): void {
  if (!networks || networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4')) return
  throw new QianzhiError('QZ-API-ADDRESS', { address })
}
