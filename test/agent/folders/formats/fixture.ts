/** A source in a folder, and what is read of files for it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FileFormat, MappedColumn, SourceTable } from '../../../../agent/database.ts'
import { readFileRows } from '../../../../agent/folders/formats/read-file.ts'
import { mappedColumn } from '../../../../agent/config/mapping.ts'
import { QianzhiError } from '../../../../protocol/errors.ts'
import { joinTexts } from '../../../../protocol/localized.ts'
import type { Item } from '../../../../protocol/schema.ts'
import type { CellFault, FileRow } from '../../../../agent/folders/formats/file-row.ts'

const open = { openness: 'public' } as const

export const items = {
  id: { id: 'id', name: 'id', label: '编号', type: 'text', length: 18, key: true, ...open },
  name: { id: 'name', name: 'full_name', label: '姓名', type: 'text', length: 10, required: true, ...open },
  count: { id: 'count', name: 'quantity', label: '数量', type: 'integer', ...open },
  price: { id: 'price', name: 'price', label: '金额', type: 'decimal', precision: 12, scale: 2, ...open },
  valid: { id: 'valid', name: 'valid', label: '有效', type: 'boolean', ...open },
  born: { id: 'born', name: 'born', label: '出生日期', type: 'date', ...open },
  changed: { id: 'changed', name: 'changed_at', label: '变更时间', type: 'timestamp', ...open },
  issued: { id: 'issued', name: 'issued_at', label: '签发时间', type: 'timestamptz', ...open },
  opens: { id: 'opens', name: 'opens', label: '开门时间', type: 'time', ...open },
  seal: { id: 'seal', name: 'seal', label: '印章', type: 'binary', ...open },
  more: { id: 'more', name: 'more', label: '其他', type: 'json', ...open },
} satisfies Record<string, Item>

export interface SourceOptions {
  columns?: readonly MappedColumn[]
  whole?: boolean
  format?: Partial<FileFormat>
  valueLimit?: number
}

export function sourceOf(wanted: readonly Item[], options: SourceOptions = {}): SourceTable {
  const { columns = wanted.map((item) => mappedColumn(item, undefined)), whole = false, format = {}, valueLimit = 768 * 1024 } = options
  return {
    resource: 'dg.people',
    table: '*',
    capture: 'files',
    files: { contents: 'rows', names: '*', whole, faults: 'refuse', format: { timezone: 'Asia/Shanghai', ...format } },
    schema: { resource: 'dg.people', version: 1, title: '人员', agency: 'dg', table: 'people', items: [...wanted] },
    columns,
    zeroDates: 'refuse',
    valueLimit,
    queueLimit: 1 << 30,
  }
}

/** All rows of a file with this name and content. */
export async function readRows(folder: string, name: string, content: string | Uint8Array, source: SourceTable): Promise<FileRow[]> {
  const path = join(folder, name)
  writeFileSync(path, content)
  return Array.fromAsync(readFileRows({ path, source, signal: new AbortController().signal })).then((chunks) => chunks.flat())
}

/** `where: reason` of the QZ-FILE with which a file is refused; else how many rows it has. */
export async function refusal(work: Promise<readonly FileRow[]>): Promise<string> {
  try {
    return `${(await work).length} rows`
  } catch (error) {
    if (!(error instanceof QianzhiError) || error.code !== 'QZ-FILE') return String(error)
    const { where = '', reason = '' } = error.details
    const { zh, en } = joinTexts([where, reason], ': ')
    return zh === en ? zh : `${zh} / ${en}`
  }
}

/** `row: column item reason` of each fault. */
export function faultsOf(rows: readonly FileRow[]): string[] {
  return rows.flatMap(({ number, faults }) => faults.map((fault) => `${number}: ${faultText(fault)}`))
}

function faultText({ column = '-', item = '-', zh, en }: CellFault): string {
  return `${column} ${item} ${zh} / ${en}`
}

/** The rows' values, and their numbers in front. */
export function valuesOf(rows: readonly FileRow[]): unknown[][] {
  return rows.map(({ number, row }) => [number, ...(row ?? ['-'])])
}

/** Characters of GB 2312's first level as GB18030, for which Node has a decoder only. */
const pairs = new Map<string, [number, number]>()
for (let row = 0xa1; row <= 0xf7; row++) {
  for (let cell = 0xa1; cell <= 0xfe; cell++) {
    const character = new TextDecoder('gb18030').decode(Uint8Array.of(row, cell))
    if (character.length === 1 && character !== '\ufffd' && !pairs.has(character)) pairs.set(character, [row, cell])
  }
}

export function gb18030(text: string): Buffer {
  return Buffer.from(
    Array.from(text).flatMap((character) => {
      if (character < '\u0080') return [character.charCodeAt(0)]
      const pair = pairs.get(character)
      if (!pair) throw new Error(`no GB 2312 character: ${character}`)
      return pair
    }),
  )
}
