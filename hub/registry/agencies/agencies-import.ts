import { QianzhiError } from '../../../protocol/errors.ts'
import { inLanguage, type LocalizedText } from '../../../protocol/localized.ts'
import { checkIdentifier } from '../../../protocol/identifiers.ts'
import type { Principal } from '../../access/principal.ts'
import { readWorkbookOrCsv } from '../../../protocol/excel/csv.ts'
import { refuseFaults } from '../../../protocol/excel/faults.ts'
import { readTable, type TableColumn, type TableRow } from '../../../protocol/excel/table.ts'
import { writeWorkbook } from '../../../protocol/excel/write.ts'
import type { Query } from '../../store/store.ts'
import { agencyKinds, insertAgency, readAgency, updateAgency, type AgencyKind, type AgencyRecord } from './agency-tree.ts'
import { nameForm } from '../../records/name-form.ts'
import { lockNames } from '../catalog/name-forms.ts'
import { changeOrRehearse, checkCode, type Registry } from '../../records/registry.ts'
import { changesOf, type Change } from '../changes.ts'

type Key = 'code' | 'name' | 'parent' | 'kind' | 'uscc'

const columns: readonly TableColumn<Key>[] = [
  { key: 'code', headers: ['单位代码', 'Agency code'], required: true },
  { key: 'name', headers: ['单位名称', 'Agency name'], required: true },
  { key: 'parent', headers: ['上级单位代码', 'Parent code'] },
  { key: 'kind', headers: ['单位类别', 'Kind'] },
  { key: 'uscc', headers: ['统一社会信用代码', 'USCC'] },
]

const kindByName = new Map(
  Object.entries(agencyKinds).flatMap(([kind, { zh, en }]) => [kind, zh, en].map((name) => [name, kind as AgencyKind] as const)),
)

/** An empty workbook with the columns of the import. */
export function agencyTemplate(): Promise<Buffer> {
  const notes: Partial<Record<Key, LocalizedText>> = {
    code: { zh: '小写字母、数字和 . _ -，不可更改', en: 'a-z 0-9 . _ -, for ever' },
    parent: { zh: '可留空；可以是本表中的单位', en: 'may be empty, or an agency of this sheet' },
  }
  const kinds = Object.values(agencyKinds).map(({ zh }) => zh)
  return writeWorkbook({
    sheets: [
      {
        name: '机关单位 Agencies',
        columns: columns.map(({ key, headers: [zh], required }) => ({
          header: required ? `${zh}*` : zh,
          width: 24,
          ...(notes[key] !== undefined && { note: notes[key] }),
          ...(key === 'kind' && { list: kinds }),
        })),
        rows: [],
      },
    ],
  })
}

type Outcome = 'created' | 'changed' | 'unchanged'

/** What became of a line of the file, or would. */
export interface ImportedAgency {
  row: number
  code: string
  name: string
  outcome: Outcome
  changes: Change[]
}

export interface AgencyImport extends Record<Outcome, number> {
  items: ImportedAgency[]
}

type Row = TableRow<Key>

/**
 * Makes the agencies of a workbook, and changes those that are there to what it says; an empty cell changes nothing. All or nothing, every
 * fault named with its cell; the same file again changes nothing. `only: 'check'`: says what it would do, and does nothing. Throws QZ-EXCEL.
 */
export async function importAgencies(registry: Registry, principal: Principal, file: Buffer, only?: 'check'): Promise<AgencyImport> {
  const { rows, faults } = await readRows(file)
  const items = await changeOrRehearse(registry, only, async (query) => {
    await query(`select pg_advisory_xact_lock(hashtext('agency tree'))`)
    await lockNames(query)
    await checkRows(query, rows, faults)
    refuseFaults(faults)
    await giveNamesUp(query, rows)
    const before = new Map<string, AgencyRecord | undefined>()
    for (const row of rows) before.set(row.values.code!, await upsert(query, principal, row, registry.clock()))
    // Parents after all are there, in whatever order they stand.
    for (const row of rows) await setParent(query, principal, row, registry.clock(), faults)
    refuseFaults(faults)
    const lines: ImportedAgency[] = []
    for (const row of rows) lines.push(lineOf(row, before.get(row.values.code!), await readAgency(query, row.values.code!)))
    return lines
  })
  const count = (wanted: Outcome) => items.filter(({ outcome }) => outcome === wanted).length
  return { created: count('created'), changed: count('changed'), unchanged: count('unchanged'), items }
}

function lineOf({ number: row }: Row, before: AgencyRecord | undefined, after: AgencyRecord): ImportedAgency {
  const changes = before ? changesOf(before, after, ['name', 'parent', 'kind', 'uscc']) : []
  const outcome = before === undefined ? 'created' : changes.length > 0 ? 'changed' : 'unchanged'
  return { row, code: after.code, name: after.name, outcome, changes }
}

async function readRows(file: Buffer): Promise<{ rows: Row[]; faults: QianzhiError[] }> {
  const faults: QianzhiError[] = []
  const workbook = await readWorkbookOrCsv(file, { rows: 20_000 })
  try {
    const rows = await Array.fromAsync(readTable(workbook, columns, { onFault: (fault) => faults.push(fault) }))
    return { rows, faults }
  } finally {
    workbook.close()
  }
}

async function checkRows(query: Query, rows: readonly Row[], faults: QianzhiError[]): Promise<void> {
  const agencies = await query<Known>('select code, state, name_form as form from agency')
  const known = new Map(agencies.map(({ code, state }) => [code, state]))
  const codes = new Set<string>()
  const listed = new Set(rows.map(({ values }) => values.code))
  const elsewhere = agencies.filter(({ code, state }) => !listed.has(code) && state !== 'closed')
  const named = new Map(elsewhere.map(({ code, form }) => [form, code]))
  for (const { values, fault } of rows) {
    const { code, name, parent, kind, uscc } = values
    if (codes.has(code!)) faults.push(fault('code', '代码重复', 'the code stands here twice'))
    codes.add(code!)
    if (!isCode(code!)) faults.push(fault('code', '只能用小写字母、数字和 . _ -，至多 40 位', 'use only a-z 0-9 . _ -, at most 40'))
    if (known.get(code!) === 'closed') faults.push(fault('code', '该单位已撤销', 'the agency is closed'))
    const holder = named.get(nameForm(name!)) ?? code!
    if (holder !== code) faults.push(fault('name', `与 ${holder} 重名`, `${holder} has the same name`))
    named.set(nameForm(name!), holder)
    if (name!.length > 200) faults.push(fault('name', '超过 200 个字符', 'over 200 characters'))
    if (parent !== null && !listed.has(parent) && known.get(parent) !== 'active')
      faults.push(fault('parent', `没有在用的单位 ${parent}`, `there is no active agency ${parent}`))
    if (kind !== null && !kindByName.has(kind)) faults.push(fault('kind', '不是列表中的类别', 'it is none of the list'))
    if (uscc !== null && checkIdentifier('uscc', uscc) !== undefined)
      faults.push(fault('uscc', '不是有效的统一社会信用代码', 'no valid unified social credit code'))
  }
}

interface Known {
  code: string
  state: string
  form: string | null
}

/** Agencies of the file may take each other's names. */
async function giveNamesUp(query: Query, rows: readonly Row[]): Promise<void> {
  await query(
    `update agency a set name_form = null from unnest($1::text[], $2::text[]) as r(code, name) where r.code = a.code and r.name <> a.name`,
    [rows.map(({ values }) => values.code), rows.map(({ values }) => values.name)],
  )
}

function isCode(code: string): boolean {
  try {
    return checkCode(code, 'agency', 40) === code
  } catch {
    return false
  }
}

/** Writes what the row says without its parent. @returns what was there before. */
async function upsert(query: Query, principal: Principal, { values }: Row, now: Date): Promise<AgencyRecord | undefined> {
  const { code, name, kind, uscc } = values
  const input = { name: name!, ...(kind !== null && { kind: kindByName.get(kind)! }), ...(uscc !== null && { uscc }) }
  const [there] = await query('select from agency where code = $1', [code])
  if (!there) {
    await insertAgency(query, principal, { code: code!, ...input }, now)
    return undefined
  }
  const before = await readAgency(query, code!)
  await updateAgency(query, principal, code!, input, now)
  return before
}

/** A circle is a fault of the file. */
async function setParent(query: Query, principal: Principal, { values, fault }: Row, now: Date, faults: QianzhiError[]): Promise<void> {
  const { code, parent } = values
  if (parent === null) return
  try {
    await updateAgency(query, principal, code!, { parent }, now)
  } catch (error) {
    if (!(error instanceof QianzhiError && error.code === 'QZ-RULE')) throw error
    faults.push(fault('parent', inLanguage(error.details['reason']!, 'zh'), inLanguage(error.details['reason']!, 'en')))
  }
}
