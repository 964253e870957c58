import { isDeepStrictEqual } from 'node:util'
import { Compile } from 'typebox/compile'
import type { QianzhiError } from '../../../protocol/errors.ts'
import type { Item } from '../../../protocol/schema.ts'
import type { Principal } from '../../access/principal.ts'
import { refuseFaults } from '../../../protocol/excel/faults.ts'
import { readWorkbook, type Workbook } from '../../../protocol/excel/read.ts'
import { readTable, type TableRow } from '../../../protocol/excel/table.ts'
import type { Query } from '../../store/store.ts'
import { findEntry } from '../catalog/catalog.ts'
import { checkContent } from '../catalog/check.ts'
import { DraftContent, type DraftContent as Draft } from '../catalog/content.ts'
import { itemSheet, resourceSheet } from '../catalog/export.ts'
import { itemColumns, resourceColumns, type CatalogColumn } from '../catalog/sheets.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import { insertRegistration } from './registrations.ts'
import { applyEvent } from '../workflow.ts'
import { registrationFlow, type Registration } from './registration-workflow.ts'

/** What became of one resource of the file. `faults`: how much must still be put right before it can be submitted. */
export interface Imported {
  resource: string
  outcome: 'created' | 'changed' | 'unchanged'
  registration: string | null
  faults: number
}

interface ReadResource {
  code: string
  row: TableRow<string>
  values: Record<string, unknown>
  items: { row: TableRow<string>; values: Record<string, unknown> }[]
}

/**
 * Makes drafts of an agency's catalog from a workbook (as exported, or the template): nothing is published. All or nothing, every fault
 * named with its cell; the same file again changes nothing. Throws QZ-EXCEL.
 */
export async function importCatalog(registry: Registry, principal: Principal, file: Buffer): Promise<Imported[]> {
  const faults: QianzhiError[] = []
  const resources = await readResources(file, faults)
  return change(registry, async (query, affectedAgents) => {
    const done: Imported[] = []
    for (const resource of resources.values()) {
      const context = { registry, query, affectedAgents, principal }
      const imported = await importResource(context, resource, faults)
      if (imported) done.push(imported)
    }
    refuseFaults(faults)
    return done
  })
}

async function readResources(file: Buffer, faults: QianzhiError[]): Promise<Map<string, ReadResource>> {
  const workbook = await readWorkbook(file, { limits: { rows: 100_000 } })
  try {
    const resources = new Map<string, ReadResource>()
    for (const { row, values } of await readSheet(workbook, resourceSheet, resourceColumns, faults)) {
      const code = String(values['code'])
      if (resources.has(code)) faults.push(row.fault('code', '资源标识重复', 'the code stands here twice'))
      resources.set(code, { code, row, values, items: [] })
    }
    for (const read of await readSheet(workbook, itemSheet, itemColumns, faults)) {
      const resource = resources.get(String(read.values['code']))
      if (resource) resource.items.push(read)
      else faults.push(read.row.fault('code', `“${resourceSheet}”中没有此资源`, `no such resource in sheet ${resourceSheet}`))
    }
    return resources
  } finally {
    workbook.close()
  }
}

async function readSheet<T>(workbook: Workbook, sheet: string, columns: readonly CatalogColumn<T>[], faults: QianzhiError[]) {
  const onFault = (fault: QianzhiError) => void faults.push(fault)
  const rows = await Array.fromAsync(readTable(workbook, columns, { sheet, onFault }))
  return rows.map((row) => ({ row, values: valuesOf(row, columns, faults) }))
}

function valuesOf<T>(row: TableRow<string>, columns: readonly CatalogColumn<T>[], faults: QianzhiError[]): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const { key, cell, shownOnly } of columns) {
    const text = row.values[key]
    if (shownOnly || text === null || text === undefined) continue
    const read = cell.read(text)
    if ('value' in read) values[key] = read.value
    else faults.push(row.fault(key, read.fault.zh, read.fault.en))
  }
  return values
}

interface ImportDeps {
  registry: Registry
  query: Query
  affectedAgents: Set<string>
  principal: Principal
}

async function importResource(deps: ImportDeps, resource: ReadResource, faults: QianzhiError[]): Promise<Imported | undefined> {
  const { query, principal, registry } = deps
  const { code, row, values } = resource
  const before = faults.length
  const entry = await findEntry(query, code)
  const open = await openRegistration(query, code)
  checkTaken(resource, principal, entry?.agency ?? open?.agency, open, faults)
  if (entry?.state === 'withdrawn') faults.push(row.fault('code', '该资源已撤销', 'the resource is withdrawn'))
  checkNewCode(row, code, faults)
  const { code: _, agency: __, ...given } = values
  const content = { ...given, ...itemsOf(resource) } as Draft
  checkShape(resource, content, faults)
  // What cannot be read cannot be compared; the whole file is refused in the end.
  if (faults.length > before) return undefined
  const known = open?.content ?? entry?.content
  const next = { ...known, ...content, ...emptied(resource, known) }
  if (known && isDeepStrictEqual(known, JSON.parse(JSON.stringify(next))))
    return { resource: code, outcome: 'unchanged', registration: open?.id ?? null, faults: 0 }
  const kept = open
    ? await applyEvent(registrationFlow, 'change', open.id, { ...deps, input: { content: next, replace: true } })
    : await insertRegistration(
        query,
        principal,
        principal.agency ?? '',
        { resource: code, content: { ...content, ...emptied(resource, known) } },
        registry.clock(),
      )
  const checked = await checkContent(query, kept)
  return { resource: code, outcome: open ? 'changed' : 'created', registration: kept.id, faults: checked.faults.length }
}

/** What a blank cell takes away: of what was there, in a column that the file has. A flag that says no is blank, too. */
function emptied({ row, values }: ReadResource, known: object = {}): Draft {
  const gone = Object.entries(known).filter(
    ([key, value]) =>
      resourceColumns.some((column) => column.key === key && !column.shownOnly) &&
      row.has(key) &&
      values[key] === undefined &&
      typeof value !== 'boolean',
  )
  return Object.fromEntries(gone.map(([key, value]) => [key, Array.isArray(value) ? [] : undefined]))
}

async function openRegistration(
  query: Query,
  code: string,
): Promise<Pick<Registration, 'id' | 'agency' | 'state' | 'content'> | undefined> {
  const [open] = await query<Pick<Registration, 'id' | 'agency' | 'state' | 'content'>>(
    `select id, agency, state, content from registration where resource = $1 and state in ('draft', 'submitted', 'returned')`,
    [code],
  )
  return open
}

function checkTaken(
  { row, values }: ReadResource,
  { agency }: Principal,
  owner: string | undefined,
  open: Pick<Registration, 'state'> | undefined,
  faults: QianzhiError[],
): void {
  if (values['agency'] !== undefined && values['agency'] !== agency) faults.push(row.fault('agency', '不是本单位', 'is not your agency'))
  if (owner !== undefined && owner !== agency) faults.push(row.fault('code', '该标识属于其他单位', 'the code is of another agency'))
  else if (open?.state === 'submitted') faults.push(row.fault('code', '该资源的登记正在审核', 'a registration of it waits for review'))
}

function checkNewCode(row: TableRow<string>, code: string, faults: QianzhiError[]): void {
  try {
    checkCode(code, 'resource', 44)
  } catch {
    faults.push(row.fault('code', '只能用小写字母、数字和 . _ -，至多 44 位', 'use only a-z 0-9 . _ -, at most 44'))
  }
}

function itemsOf({ items }: ReadResource): Pick<Draft, 'items' | 'storedClosed' | 'exceptions'> {
  const idsOf = (flag: string) => items.filter(({ values }) => values[flag] === true).map(({ values }) => String(values['id']))
  const exceptions = items.flatMap(({ values: { id, basis } }) =>
    basis === undefined ? [] : [{ item: id as string, basis: basis as string }],
  )
  return { items: items.map(({ values }) => itemOf(values)), storedClosed: idsOf('stored'), exceptions }
}

/** A flag that says no says nothing. */
function itemOf(values: Record<string, unknown>): Partial<Item> {
  const { code: _, stored: __, basis: ___, checkKind, checkOn, checkItem, checkEquals, ...fields } = values
  const plain = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== false))
  const when = checkItem === undefined ? {} : { when: { item: checkItem, equals: checkEquals ?? [] } }
  const check = checkKind === undefined ? {} : { check: { kind: checkKind, on: checkOn ?? 'warn', ...when } }
  return { name: fields['id'], ...plain, ...check } as Partial<Item>
}

const shape = Compile(DraftContent)

/** What has no place in a draft is a fault of its cell. */
function checkShape({ row, items }: ReadResource, content: Draft, faults: QianzhiError[]): void {
  for (const { instancePath, message } of shape.Errors(content)) {
    const [, field = '', index, itemField = ''] = instancePath.split('/')
    const at = field === 'items' && index !== undefined ? items[Number(index)] : undefined
    const key = at ? (itemField === 'check' ? 'checkKind' : itemField) : field === 'exceptions' || field === 'storedClosed' ? 'code' : field
    faults.push((at?.row ?? row).fault(key, `不符合要求（${message}）`, message))
  }
}
