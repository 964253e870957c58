import 'reflect-metadata'
import { createHash, randomBytes, webcrypto, X509Certificate as NodeCertificate } from 'node:crypto'
import { mkdir, rename } from 'node:fs/promises'
import { isIP } from 'node:net'
import { dirname, join } from 'node:path'
import { createSecureContext } from 'node:tls'
import * as x509 from '@peculiar/x509'
import { authorityPath, keepFile, readIfThere, readKept, syncFolder, writeDurably } from './store/durable-files.ts'

type CryptoKey = webcrypto.CryptoKey
type CryptoKeyPair = webcrypto.CryptoKeyPair

x509.cryptoProvider.set(webcrypto)

/** What the HTTPS server needs, in PEM. `certificate` is the whole chain. */
export interface ServerCertificate {
  certificate: string
  key: string
}

export interface OwnCertificate extends ServerCertificate {
  /** SHA-256 (hex) of the authority certificate's DER: what enrolment tokens carry and agents pin. */
  authority: string
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const day = 86_400_000
const authorityDays = 3653
const serverDays = 397
const renewDays = 60

/**
 * The certificate of the hub's own authority, both made on first use in `<data>/tls`. The authority is kept; the server certificate is
 * made again when its end is near, a host is missing from it, or another authority issued it. The chain holds the authority itself, so
 * that an enrolling agent can compare its fingerprint.
 */
export async function ownCertificate(data: string, hosts: readonly string[], now: Date): Promise<OwnCertificate> {
  const folder = join(data, 'tls')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const authority = await loadAuthority(data, folder, now)
  const wanted = [...new Set(hosts.map((host) => host.toLowerCase()))]
  const kept = await readIfThere(join(folder, 'server.pem'))
  const pem = kept !== undefined && stillGood(kept, authority.certificate, wanted, now) ? kept : await renew(folder, authority, wanted, now)
  return { ...split(pem), authority: fingerprint(authority.certificate.toString('pem')) }
}

export function fingerprint(certificatePem: string): string {
  return createHash('sha256').update(new NodeCertificate(certificatePem).raw).digest('hex')
}

interface Authority {
  certificate: x509.X509Certificate
  key: CryptoKey
}

/** Key and certificate are one file, so that a crash never leaves one without the other; a copy of the certificate alone lies beside. */
async function loadAuthority(data: string, folder: string, now: Date): Promise<Authority> {
  const path = join(folder, 'authority.key')
  const fresh = (await readIfThere(path)) === undefined ? await makeAuthority(now) : ''
  const { key, certificate } = split(await keepFile(path, () => fresh))
  const authority = await readKept(
    path,
    async () => ({ certificate: new x509.X509Certificate(certificate), key: await importKey(key) }),
    restoreAuthority,
  )
  if ((await readIfThere(authorityPath(data))) !== certificate) await replaceFile(authorityPath(data), certificate)
  return authority
}

/** Agents have pinned it. */
export const restoreAuthority = {
  zh: '从备份恢复（各代理在登记时已固定该证书颁发机构）',
  en: 'restore it from a backup (agents pinned this authority when they enrolled)',
}

async function makeAuthority(now: Date): Promise<string> {
  const keys = await makeKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=Qianzhi hub authority ${randomBytes(4).toString('hex')}`,
    ...validity(now, authorityDays),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return `${await exportKey(keys.privateKey)}\n${certificate.toString('pem')}\n`
}

async function renew(folder: string, authority: Authority, hosts: readonly string[], now: Date): Promise<string> {
  const keys = await makeKeys()
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: 'CN=Qianzhi hub',
    issuer: authority.certificate.subject,
    ...validity(now, serverDays),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(hosts.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  })
  const pem = `${await exportKey(keys.privateKey)}\n${certificate.toString('pem')}\n${authority.certificate.toString('pem')}\n`
  await replaceFile(join(folder, 'server.pem'), pem)
  return pem
}

async function replaceFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  await writeDurably(temporary, content)
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

/** One that cannot be read is as good as none: another is made. */
function stillGood(pem: string, authority: x509.X509Certificate, hosts: readonly string[], now: Date): boolean {
  const { certificate: kept, key } = split(pem)
  let certificate: NodeCertificate
  try {
    certificate = new NodeCertificate(kept)
    createSecureContext({ cert: kept, key })
  } catch {
    return false
  }
  if (!certificate.verify(new NodeCertificate(authority.toString('pem')).publicKey)) return false
  if (Date.parse(certificate.validTo) - now.getTime() < renewDays * day) return false
  return hosts.every((host) => (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined)
}

/** Takes a file of one private key and certificates apart. */
function split(pem: string): ServerCertificate {
  const at = pem.indexOf('-----BEGIN CERTIFICATE-----')
  return { key: pem.slice(0, at), certificate: pem.slice(at) }
}

function makeKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

async function exportKey(key: CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}

function importKey(pem: string): Promise<CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), algorithm, true, ['sign'])
}

/** Begins an hour ago: clocks of agents may be behind. */
function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - day / 24), notAfter: new Date(now.getTime() + days * day) }
}

/** Positive, 16 random bytes. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes.toString('hex')
}
