/** Accounts as the server names them, for statements that a DBA copies. */
import type { LocalizedText } from '../../../protocol/localized.ts'
import { quoteName, quoteText } from './sql.ts'

/** Account `name@host` as SQL writes it. */
export function accountOf(user: string): string {
  const [name, host = '%'] = user.split('@') as [string, string?]
  return `${quoteText(name.replaceAll("'", ''))}@${quoteText(host.replaceAll("'", ''))}`
}

/** Of an account that has no right in a database the connection is refused already, whatever it is opened for. */
export function closedDatabase(reason: string): string | LocalizedText {
  const [, user, host, database] = /^Access denied for user '(.*)'@'(.*)' to database '([^']*)'/.exec(reason) ?? []
  if (user === undefined) return reason
  const grant = (table: string) => `grant select on ${quoteName(database!)}.${table} to ${accountOf(`${user}@${host}`)}`
  return {
    zh: `${reason}：请 DBA 对要提供的每张表执行 ${grant('表名')}`,
    en: `${reason}: have the DBA run, for each table to be supplied, ${grant('TABLE')}`,
  }
}
