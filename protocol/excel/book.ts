import { posix } from 'node:path'
import type { Archive, Part } from './archive.ts'
import { excelFault, wholeFile } from './fault.ts'
import type { ExcelLimits } from './limits.ts'
import { cellFormat, type CellFormat } from './numbers.ts'
import { parseXml, prefixedAttribute, readXml } from './xml.ts'

/** What the sheets of a workbook share. */
export interface Book {
  sheets: { name: string; hidden: boolean; part: Part }[]
  /** How a cell's style shows a number. */
  formats: readonly CellFormat[]
  dateSystem: 1900 | 1904
  /** A program that calculates has saved the formulas' values. */
  calculated: boolean
  texts: readonly string[]
}

interface Relationship {
  type: string
  target: string
}

/** Reads everything but the rows. Throws QZ-EXCEL. */
export async function readBook(archive: Archive, limits: ExcelLimits): Promise<Book> {
  const { workbook, tops, related } = await findWorkbook(archive)
  const ofType = (wanted: string): Part | undefined => {
    const found = [...related.values()].find(({ type }) => type === wanted)
    return found && archive.part(found.target)
  }
  const { listed, dateSystem, uncalculated } = await readWorkbookPart(workbook)
  if (listed.length > limits.sheets)
    throw excelFault(wholeFile, `工作表超过 ${limits.sheets} 个`, `it has more than ${limits.sheets} sheets`)
  const sheets = sheetsOf(archive, listed, related)
  const [styles, strings] = [ofType('styles'), ofType('sharedStrings')]
  const about = tops.find(({ type }) => type === 'extended-properties')
  const calculated = !uncalculated && (ofType('calcChain') !== undefined || (await isOfCalculator(about && archive.part(about.target))))
  return {
    sheets,
    dateSystem,
    calculated,
    formats: styles ? await readStyles(styles) : [],
    texts: strings ? await readTexts(strings, limits) : [],
  }
}

/** Where the parts of a workbook are. */
export interface BookPlaces {
  workbook: Part
  /** Name of the part with the workbook's relationships. */
  relationships: string
  sheets: Book['sheets']
}

/** Throws QZ-EXCEL. */
export async function readPlaces(archive: Archive): Promise<BookPlaces> {
  const { workbook, related } = await findWorkbook(archive)
  const { listed } = await readWorkbookPart(workbook)
  return { workbook, relationships: relationshipsOf(workbook.name), sheets: sheetsOf(archive, listed, related) }
}

async function findWorkbook(archive: Archive) {
  const tops = [...(await relationships(archive, '')).values()]
  const top = tops.find(({ type }) => type === 'officeDocument')
  const workbook = top && archive.part(top.target)
  if (!workbook || !/\.xml$/i.test(workbook.name))
    throw excelFault(wholeFile, '不是 .xlsx 工作簿，请在 Excel 中另存为 .xlsx', 'this is no .xlsx workbook: save it as .xlsx in Excel')
  return { workbook, tops, related: await relationships(archive, workbook.name) }
}

function sheetsOf(archive: Archive, listed: readonly ListedSheet[], related: ReadonlyMap<string, Relationship>): Book['sheets'] {
  return listed.flatMap(({ name, hidden, id }) => {
    const target = related.get(id)
    // Chart sheets hold no cells.
    if (target && target.type !== 'worksheet') return []
    const part = target && archive.part(target.target)
    if (!part) throw excelFault(name, '工作表的内容不在文件中', 'the file does not hold the sheet')
    return [{ name, hidden, part }]
  })
}

/** A part's relationships by id; types by their last word, which is the same in both variants of the standard. */
async function relationships(archive: Archive, of: string): Promise<Map<string, Relationship>> {
  const folder = posix.dirname(of)
  const part = archive.part(relationshipsOf(of))
  const found = new Map<string, Relationship>()
  if (!part) return found
  await readXml(part, {
    open(name, { Id, Type, Target, TargetMode }) {
      if (name !== 'Relationship' || Id === undefined || Type === undefined || Target === undefined || TargetMode === 'External') return
      const target = posix.join('/', Target.startsWith('/') ? '' : folder, Target).slice(1)
      found.set(Id, { type: Type.slice(Type.lastIndexOf('/') + 1), target })
    },
  })
  return found
}

function relationshipsOf(part: string): string {
  return posix.join(posix.dirname(part), '_rels', `${posix.basename(part)}.rels`)
}

interface ListedSheet {
  name: string
  hidden: boolean
  id: string
}

async function readWorkbookPart(part: Part) {
  const listed: ListedSheet[] = []
  let dateSystem: 1900 | 1904 = 1900
  let uncalculated = false
  await readXml(part, {
    open(name, attributes) {
      if (name === 'workbookPr' && ['1', 'true'].includes(attributes['date1904'] ?? '')) dateSystem = 1904
      if (name === 'calcPr') uncalculated = wantsCalculation(attributes)
      if (name !== 'sheet') return
      const id = prefixedAttribute(attributes, 'id')
      if (id === undefined) return
      listed.push({ name: attributes['name'] ?? '', hidden: (attributes['state'] ?? 'visible') !== 'visible', id })
    },
  })
  return { listed, dateSystem, uncalculated }
}

/** Libraries that write formulas leave their values to the program that opens the file. */
function wantsCalculation({ fullCalcOnLoad, forceFullCalc, calcCompleted }: Readonly<Record<string, string>>): boolean {
  const isTrue = (value: string | undefined) => value === '1' || value === 'true'
  return isTrue(fullCalcOnLoad) || isTrue(forceFullCalc) || calcCompleted === '0' || calcCompleted === 'false'
}

const calculators = /excel|office|wps|表格|gnumeric|numbers|calligra/i

/** Whether the program that saved the file is one that calculates. */
async function isOfCalculator(about: Part | undefined): Promise<boolean> {
  if (!about) return false
  let [inside, application] = [false, '']
  await readXml(about, {
    open(name) {
      inside = name === 'Application'
    },
    text(found) {
      if (inside) application += found
    },
    close() {
      inside = false
    },
  })
  return calculators.test(application)
}

async function readStyles(part: Part): Promise<CellFormat[]> {
  const codes = new Map<string, string>()
  const ids: string[] = []
  let inCells = false
  await readXml(part, {
    open(name, attributes) {
      if (name === 'numFmt') codes.set(attributes['numFmtId'] ?? '', attributes['formatCode'] ?? '')
      else if (name === 'cellXfs') inCells = true
      else if (name === 'xf' && inCells) ids.push(attributes['numFmtId'] ?? '0')
    },
    close(name) {
      if (name === 'cellXfs') inCells = false
    },
  })
  return ids.map((id) => cellFormat(Number(id), codes.get(id)))
}

async function readTexts(part: Part, limits: ExcelLimits): Promise<string[]> {
  const texts: string[] = []
  let length = 0
  const text = new RichText()
  const keep = (value: string): void => {
    texts.push(value)
    length += value.length
  }
  const parsing = parseXml(part, {
    open(name) {
      if (name === 'si') text.clear()
      text.open(name)
    },
    text: (found) => text.add(found),
    close(name) {
      text.close(name)
      if (name === 'si') keep(text.value)
    },
  })
  for await (const _ of parsing) {
    if (texts.length > limits.texts)
      throw excelFault(wholeFile, `不同的文本超过 ${limits.texts} 个`, `it holds more than ${limits.texts} texts`)
    if (length > limits.textLength)
      throw excelFault(
        wholeFile,
        `文本合计超过 ${limits.textLength} 个字符`,
        `its texts are longer than ${limits.textLength} characters together`,
      )
  }
  return texts
}

/** The text of an `si` or `is`: the runs of a rich text together, without the phonetic guide (`rPh`). */
export class RichText {
  #text = ''
  #inText = false
  #phonetic = false

  clear(): void {
    this.#text = ''
  }

  open(name: string): void {
    if (name === 'rPh') this.#phonetic = true
    else if (name === 't') this.#inText = !this.#phonetic
  }

  add(found: string): void {
    if (this.#inText) this.#text += found
  }

  close(name: string): void {
    if (name === 'rPh') this.#phonetic = false
    else if (name === 't') this.#inText = false
  }

  get value(): string {
    return unescapeText(this.#text)
  }
}

/** `_x000D_` stands for a character that XML cannot hold (ECMA-376 part 1, 22.9.2.19). */
export function unescapeText(text: string): string {
  return text.includes('_x')
    ? text.replace(/_x([0-9A-Fa-f]{4})_/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    : text
}
