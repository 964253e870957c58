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
      if (!fault) return callback(null, socket!)
      socket!.destroy()
      callback(fault, null)
    })
}

function certificateFault(socket: TLSSocket, pinned: string, hostname: string): Error | undefined {
  const shown = socket.getPeerX509Certificate()
  const authority = new X509Certificate(pinned)
  if (shown?.fingerprint256 === authority.fingerprint256) return undefined
  if (!shown || shown.ca || !shown.checkIssued(authority) || !shown.verify(authority.publicKey)) {
    return Object.assign(new Error('certificate not issued by the pinned authority'), { code: 'CERT_NOT_PINNED' })
  }
  const host = hostname.replace(/^\[|\]$/g, '')
  const named = isIP(host) ? shown.checkIP(host) : shown.checkHost(host)
  if (named !== undefined) return undefined
  return Object.assign(new Error(`certificate is for ${shown.subjectAltName ?? 'no name'}, not for ${host}`), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  })
}
