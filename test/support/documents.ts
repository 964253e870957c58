/** The parts of the documents that say what the code says: `npm run docs` writes them, tests compare them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { personal, rights, type OperationName, type Reach } from '../../hub/access/rights.ts'
import { roles } from '../../hub/records/roles.ts'
import { operations } from '../../hub/operations/index.ts'
import { workflows } from '../../hub/registry/workflows.ts'
import { errorCodes, errorKind } from '../../protocol/errors.ts'

const top = new URL('../../', import.meta.url)

/** SPEC section 11: every code. */
export function errorTable(): string {
  const lines = errorCodes.map((code) => {
    const { status, who, retry, en } = errorKind(code)
    return `| \`${code}\` | ${status} | ${who} | ${retry ? 'yes' : 'no'} | ${en} |`
  })
  return ['| code | HTTP | who | retry | meaning |', '| --- | --- | --- | --- | --- |', ...lines].join('\n')
}

const reachTexts: Record<Reach, string> = {
  any: 'all',
  own: 'own agency',
  provider: 'as provider',
  receiver: 'as receiver',
  self: 'own person',
}

/** docs/permissions.md: role × operation × reach. */
export function permissionsPage(): string {
  const lines = Object.entries(rights).map(([name, line]) => {
    const operation = operations.find((one) => one.name === name)
    const door = operation ? `\`${operation.method} /api/v1${operation.path}\`` : 'when its time has come'
    const cells = Object.entries(line as Record<string, Reach | Reach[]>).map(([role, reach]) => {
      return `${role}: ${[reach]
        .flat()
        .map((one) => reachTexts[one])
        .join(' or ')}`
    })
    if (personal.has(name as OperationName)) cells.push('no keys')
    return `| \`${name}\` | ${operation ? `${operation.text.zh} ${operation.text.en}` : ''} | ${door} | ${cells.join('; ')} |`
  })
  return [
    '# Permissions',
    '',
    'Who may do what: printed from `hub/access/rights.ts` by `npm run docs`. What is not in the table is refused. `everybody` is whoever is signed in; `hub` is the hub itself, when a time has come. `no keys`: a person answers for it, a machine with a key may not.',
    '',
    '| role | 角色 | |',
    '| --- | --- | --- |',
    ...Object.entries(roles).map(([role, { zh, en }]) => `| \`${role}\` | ${zh} | ${en} |`),
    '',
    '| operation | what | door | roles |',
    '| --- | --- | --- | --- |',
    ...lines,
    '',
  ].join('\n')
}

/** docs/workflows.md: every state, and what leads where. */
export function workflowsPage(): string {
  const parts = workflows.flatMap((flow) => {
    const events = flow.events as unknown as Record<string, readonly { from: readonly string[]; to: string; by?: readonly string[] }[]>
    const lines = Object.entries(events).flatMap(([event, steps]) =>
      steps.map(({ from, to, by }) => {
        const line = rights[`${flow.name}.${event}` as keyof typeof rights]
        return `| \`${event}\` | ${from.join(', ')} | ${to} | ${(by ?? Object.keys(line)).join(', ')} |`
      }),
    )
    const states = Object.entries<Record<'zh' | 'en', string>>(flow.states).map(([state, { zh }]) => `${state} ${zh}`)
    const title = `## ${flow.name}`
    return [title, '', `States: ${states.join('; ')}.`, '', '| event | from | to | roles |', '| --- | --- | --- | --- |', ...lines, '']
  })
  return ['# Workflows', '', 'Printed from `hub/registry/workflows.ts` by `npm run docs`.', '', ...parts].join('\n')
}

/** Paths from the top, and what stands in them. */
export function documents(): Record<string, string> {
  const spec = readFileSync(new URL('protocol/SPEC.md', top), 'utf8')
  return {
    'docs/permissions.md': permissionsPage(),
    'docs/workflows.md': workflowsPage(),
    'protocol/SPEC.md': spec.replace(/\| code \| HTTP [^]*?\n(?=\n)/, () => `${errorTable()}\n`),
  }
}

if (import.meta.main) for (const [path, text] of Object.entries(documents())) writeFileSync(new URL(path, top), text)
