/** Workbooks made by hand, so that they can be as wrong as a test needs. */
import { crc32, deflateRawSync } from 'node:zlib'
import { QianzhiError } from '../../../protocol/errors.ts'
import { joinTexts } from '../../../protocol/localized.ts'
import { readWorkbook, type ReadOptions } from '../../../protocol/excel/read.ts'

export interface Entry {
  name: string
  data: string | Buffer
  /** What the archive says in place of the truth. */
  declared?: { size?: number; checksum?: number; flags?: number; method?: number }
}

/** A zip archive (APPNOTE 6.3, without data descriptors). */
export function zip(entries: readonly Entry[]): Buffer {
  const [locals, centrals]: [Buffer[], Buffer[]] = [[], []]
  let offset = 0
  for (const { name, data, declared = {} } of entries) {
    const bytes = Buffer.from(data)
    const [packed, file] = [deflateRawSync(bytes), Buffer.from(name)]
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(declared.flags ?? 0x800, 2)
    fields.writeUInt16LE(declared.method ?? 8, 4)
    fields.writeUInt32LE(declared.checksum ?? crc32(bytes), 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(declared.size ?? bytes.length, 18)
    fields.writeUInt16LE(file.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, file, packed])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    centrals.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\0', 'latin1'), fields, tail, file]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(centrals)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(entries.length, 4)
  end.writeUInt16LE(entries.length, 6)
  end.writeUInt32LE(directory.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06'), end])
}

const xml = '<?xml version="1.0" encoding="UTF-8"?>'
const main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
const related = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const relationship = (id: string, type: string, target: string) => `<Relationship Id="${id}" Type="${related}/${type}" Target="${target}"/>`
const relationships = (all: string) =>
  `${xml}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${all}</Relationships>`

export interface Parts {
  /** What stands in `sheetData`, by sheet name in the order of the workbook; files are numbered the other way round. */
  sheets?: Record<string, string>
  /** Behind the rows of each sheet. */
  behind?: string
  texts?: string
  /** Number formats of the styles 1, 2, …: an id, or a format's code. */
  formats?: (number | string)[]
  date1904?: boolean
  /** What `docProps/app.xml` says of the program that saved the file, and attributes of the workbook's `calcPr`. */
  application?: string
  calculation?: string
}

export function entriesOf({
  sheets = { one: '' },
  behind = '',
  texts = '',
  formats = [],
  date1904 = false,
  application,
  calculation,
}: Parts): Entry[] {
  const names = Object.keys(sheets)
  const file = (i: number) => `worksheets/sheet${names.length - i}.xml`
  const listed = names.map((name, i) => `<sheet name="${name}" sheetId="${i + 1}" r:id="s${i}"/>`).join('')
  const own = formats
    .map((format, i) =>
      typeof format === 'string' ? `<numFmt numFmtId="${200 + i}" formatCode="${format.replaceAll('"', '&quot;')}"/>` : '',
    )
    .join('')
  const styles = formats.map((format, i) => `<xf numFmtId="${typeof format === 'string' ? 200 + i : format}"/>`).join('')
  const top = relationship('r1', 'officeDocument', 'xl/workbook.xml')
  const about =
    application === undefined
      ? []
      : [{ name: 'docProps/app.xml', data: `${xml}<Properties><Application>${application}</Application></Properties>` }]
  return [
    {
      name: '_rels/.rels',
      data: relationships(about.length > 0 ? top + relationship('r2', 'extended-properties', 'docProps/app.xml') : top),
    },
    ...about,
    {
      name: 'xl/workbook.xml',
      data: `${xml}<workbook ${main} xmlns:r="${related}"><workbookPr date1904="${date1904 ? 1 : 0}"/><sheets>${listed}</sheets>${calculation === undefined ? '' : `<calcPr ${calculation}/>`}</workbook>`,
    },
    {
      name: 'xl/_rels/workbook.xml.rels',
      data: relationships(
        names.map((_, i) => relationship(`s${i}`, 'worksheet', file(i))).join('') +
          relationship('st', 'styles', 'styles.xml') +
          relationship('ss', 'sharedStrings', '/xl/sharedStrings.xml'),
      ),
    },
    {
      name: 'xl/styles.xml',
      data: `${xml}<styleSheet ${main}><numFmts>${own}</numFmts><cellXfs><xf numFmtId="0"/>${styles}</cellXfs></styleSheet>`,
    },
    { name: 'xl/sharedStrings.xml', data: `${xml}<sst ${main}>${texts}</sst>` },
    ...Object.values(sheets)
      .map((rows, i) => ({
        name: `xl/${file(i)}`,
        data: `${xml}<worksheet ${main}><sheetData>${rows}</sheetData>${behind}</worksheet>`,
      }))
      .toReversed(),
  ]
}

/** A whole file with these parts. */
export function workbook(parts: Parts): Buffer {
  return zip(entriesOf(parts))
}

/** One sheet with these cells in its first row. */
export function firstRow(cells: string, parts: Parts = {}): Buffer {
  return workbook({ ...parts, sheets: { one: `<row r="1">${cells}</row>` } })
}

/** All rows of all sheets: `[sheet, [row number, cells…]…]`. */
export async function readAll(source: Buffer | string, options?: ReadOptions) {
  const book = await readWorkbook(source, options)
  try {
    const sheets: [string, ...(number | string | null)[][]][] = []
    for (const { name, rows } of book.sheets) {
      sheets.push([name])
      for await (const { number, cells } of rows()) sheets.at(-1)!.push([number, ...cells])
    }
    return sheets
  } finally {
    book.close()
  }
}

/** `where: reason`, in Chinese and then in English, of the QZ-EXCEL with which something is refused. */
export async function excelRefusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'not refused'
  } catch (error) {
    if (!(error instanceof QianzhiError) || error.code !== 'QZ-EXCEL') return String(error)
    const { where = '', reason = '' } = error.details
    const { zh, en } = joinTexts([where, reason], ': ')
    return zh === en ? zh : `${zh} / ${en}`
  }
}
