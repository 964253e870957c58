/** The report that lies beside a file with faults: for the people who made the file, so a table that Excel opens. */
import { counted } from '../../../protocol/localized.ts'
import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { CellFault } from '../formats/file-row.ts'

export interface FileReport {
  /** Its name. */
  file: string
  /** With the row in which each is; 0 for the file as a whole. */
  faults: readonly { number: number; fault: CellFault }[]
  /** How many there are, where not all are given. */
  total: number
  /** What became of the file: its good rows were taken, or none of it. */
  outcome: 'accepted' | 'refused'
  rows: number
  /** Rows with faults. */
  bad: number
}

const maxFaults = 10_000
const columns = ['行 / row', '列 / column', '信息项 / item', '代码 / code', '原因', 'reason']

/** Writes it whole or not at all, over an older one: CSV in UTF-8 with a byte order mark. */
export async function writeReport(path: string, report: FileReport): Promise<void> {
  const shown = report.faults.slice(0, maxFaults)
  const more = report.total - shown.length
  const lines = [
    [outcome(report)],
    columns,
    ...shown.map(({ number, fault: { column = '', item = '', code, zh, en } }) => [
      number === 0 ? '' : String(number),
      column,
      item,
      code,
      zh,
      en,
    ]),
    ...(more > 0 ? [[`… 另有 ${more} 处 / ${more} more`]] : []),
  ]
  await writeWhole(path, `\ufeff${lines.map((cells) => `${cells.map(quoted).join(',')}\r\n`).join('')}`)
}

function outcome({ file, outcome, rows, bad }: FileReport): string {
  if (rows === 0) return `文件 ${file} 已退回 / File ${file} was refused`
  const good = rows - bad
  return outcome === 'accepted'
    ? `文件 ${file} 共 ${rows} 行：接收 ${good} 行，${bad} 行有误未接收 / File ${file}, ${counted(rows, 'row')}: ${good} were taken, ${bad} have faults and were not`
    : `文件 ${file} 共 ${rows} 行，${bad} 行有误：整个文件已退回，未接收任何行 / File ${file}, ${counted(rows, 'row')}, ${bad} have faults: the file was refused, no row was taken`
}

/** A spreadsheet would run what begins like a formula (OWASP, CSV injection); an apostrophe makes it a text. */
function quoted(cell: string): string {
  const text = /^[\s]*[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await flushFolder(dirname(path))
}

/** Windows has no way to flush a folder. */
async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
