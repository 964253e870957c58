/** The URL of a SQL Server database as what the driver needs to know. */
import type { ConnectionConfiguration } from 'tedious'

/** TLS 1.0 is all that an unpatched SQL Server 2012 or 2014 speaks, with ciphers that OpenSSL refuses at its usual security level. */
const oldTls = { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const

const limits = { connect: 10_000, cancel: 5_000 }

/** A statement takes longer only where the network has swallowed it. */
export const statementMs = 30 * 60_000

/**
 * `sqlserver://user:password@host:1433/database?…` (or `mssql://`), special characters percent-encoded. Options:
 *
 * | option                   | default | meaning                                                                                     |
 * |--------------------------|---------|---------------------------------------------------------------------------------------------|
 * | `encrypt`                | `true`  | TLS; `false` encrypts nothing but the login; `strict` is TDS 8.0 (SQL Server 2022)           |
 * | `trustServerCertificate` | `false` | take any certificate: for the self-signed one that a server makes for itself                 |
 * | `serverName`             | host    | name that the certificate must bear                                                         |
 * | `tls`                    |         | `old` also speaks TLS 1.0, which is all that unpatched servers of 2012 and 2014 know          |
 * | `instance`               |         | a named instance; its port is asked of the server's browser service (UDP 1434)                |
 * | `domain`                 |         | a Windows account (NTLM)                                                                    |
 * | `multiSubnetFailover`    | `false` | try all addresses of an availability group's listener at once                                |
 */
export function connectionOptions(url: string, application: string): ConnectionConfiguration {
  const { hostname, port, pathname, username, password, searchParams: options } = new URL(url)
  const instance = options.get('instance')
  const domain = options.get('domain')
  const account = { userName: decodeURIComponent(username), password: decodeURIComponent(password) }
  return {
    server: hostname.replace(/^\[|\]$/g, ''),
    authentication: domain ? { type: 'ntlm', options: { ...account, domain } } : { type: 'default', options: account },
    options: {
      database: decodeURIComponent(pathname.slice(1)),
      ...(instance ? { instanceName: instance } : { port: Number(port || 1433) }),
      appName: application,
      encrypt: encryption(options.get('encrypt')),
      trustServerCertificate: options.get('trustServerCertificate') === 'true',
      ...(options.has('serverName') && { serverName: options.get('serverName')! }),
      ...(options.get('tls') === 'old' && { cryptoCredentialsDetails: oldTls }),
      multiSubnetFailover: options.get('multiSubnetFailover') === 'true',
      connectTimeout: limits.connect,
      requestTimeout: statementMs,
      cancelTimeout: limits.cancel,
      // What is lost is told, never quietly replaced by a session without locks and temporary tables.
      maxRetriesOnTransientErrors: 0,
      useUTC: true,
      useColumnNames: false,
      rowCollectionOnRequestCompletion: false,
      textsize: 2_147_483_647,
      abortTransactionOnError: false,
    },
  }
}

function encryption(word: string | null): boolean | string {
  return word === 'strict' ? 'strict' : word !== 'false'
}
