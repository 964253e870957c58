import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'

type Connector = buildConnector.connector

/**
 * A connection to whoever holds a certificate of the pinned authority, or exactly the pinned certificate (PEM), for the name that was
 * called. What was pinned decides, not from when to when a certificate says that it is valid: a machine whose clock is wrong finds its
 * hub all the same. `connect` must not judge certificates itself (`rejectUnauthorized: false`), nor
 * take up sessions again (`maxCachedSessions: 0`), which show none.
 */
export function pinnedConnection(connect: Connector, pinned: string): Connector {
  return (options, callback) =>
    connect(options, (error, socket) => {
      if (error) return callback(error, null)
      const fault = certificateFault(socket as TLSSocket, pinned, options.hostname)
      if (!fault) return callback(null, socket)
      socket.destroy()
      callback(fault, null)
    })
}

function certificateFault(socket: TLSSocket, pinned: string, hostname: string): Error | undefined {
  const shown = socket.getPeerX509Certificate()
  const authorities = pinned.match(pemForm)?.map((pem) => new X509Certificate(pem)) ?? []
  if (shown && authorities.some((authority) => shown.fingerprint256 === authority.fingerprint256)) return undefined
  if (!shown || shown.ca || !isIssued(shown, authorities)) {
    return Object.assign(new Error('certificate not issued by the pinned authority'), { code: 'CERT_NOT_PINNED' })
  }
  const host = hostname.replace(/^\[|\]$/g, '')
  const named = isIP(host) ? shown.checkIP(host) : shown.checkHost(host)
  if (named !== undefined) return undefined
  return Object.assign(new Error(`certificate is for ${shown.subjectAltName ?? 'no name'}, not for ${host}`), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  })
}

const pemForm = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
/** Authorities between the server's certificate and a pinned one. */
const longestChain = 4

/** By one of the authorities, or by one that is shown and is issued so itself. */
function isIssued(shown: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  let certificate = shown
  for (let length = 0; length <= longestChain; length++) {
    if (authorities.some((authority) => issued(certificate, authority))) return true
    const issuer = certificate.issuerCertificate
    if (!issuer?.ca || !issued(certificate, issuer)) return false
    certificate = issuer
  }
  return false
}

function issued(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}
