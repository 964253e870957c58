import type { LocalizedText } from '../../protocol/localized.ts'
import { engineOf, type Engine } from '../databases/index.ts'

/** A script that a DBA runs as it is, by the engine's own client. */

/** What the account of a URL is called, without its password. */
export function accountIn(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const { username } = new URL(url)
  return username === '' ? undefined : decodeURIComponent(username)
}

/** Comments, and what brings a client to the database that is meant. */
export function preamble(url: string, lines: readonly LocalizedText[], language: 'zh' | 'en'): string {
  const { client } = engineOf('', url)
  const said = lines.map((line) => `-- ${line[language]}`)
  const database = URL.canParse(url) ? decodeURIComponent(new URL(url).pathname.slice(1)) : ''
  if (client === 'delimiter' && database !== '') said.push(`USE \`${database.replaceAll('`', '``')}\`;`)
  if (client === 'batches' && database !== '') said.push(`USE [${database.replaceAll(']', ']]')}]\nGO`)
  // SQL*Plus would ask for a value wherever a text holds an ampersand.
  if (client === 'sqlplus') said.push('set define off')
  return `${said.join('\n')}\n`
}

/** Where a script is for: without account and password. */
export function shownPlace(url: string): string {
  if (!URL.canParse(url)) return url.replace(/\/\/[^@/]*@/, '//')
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/**
 * The mysql client splits at semicolons, also inside a trigger's body, unless it is told another delimiter. To SQL Server's clients each
 * statement is a batch: a trigger must be the first of its own. SQL*Plus runs a block of PL/SQL, which ends with a semicolon of its own,
 * when a line holds nothing but a slash.
 */
export function forClient(statement: string, client: Engine['client']): string {
  if (client === 'batches') return `${statement}\nGO\n`
  if (client === 'sqlplus' && /^(begin|declare|create trigger)\s/.test(statement)) return `${statement};\n/\n`
  return client === 'delimiter' && statement.includes(';') ? `DELIMITER $$\n${statement}$$\nDELIMITER ;\n` : `${statement};\n`
}

export function scriptOf(url: string, statements: readonly string[]): string {
  const { client } = engineOf('', url)
  return statements.map((statement) => forClient(statement.replace(/;\s*$/, ''), client)).join('\n')
}
