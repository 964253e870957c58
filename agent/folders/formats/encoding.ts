/** Which encoding a text file has: people save UTF-8, GB18030 (GBK and GB2312 are parts of it) and UTF-16, and say so nowhere. */
import { isAscii, isUtf8 } from 'node:buffer'
import type { FileHandle } from 'node:fs/promises'
import type { FileFormat } from '../../database.ts'
import { lineName, wholeFile, type Refuse } from './file-fault.ts'

export interface Encoding {
  name: 'utf-8' | 'gb18030' | 'utf-16le' | 'utf-16be'
  /** Bytes of the byte order mark. */
  mark: number
}

/** What a file without a byte order mark was said to be, where that was certain. */
export type Known = 'utf-8' | 'gb18030'

export interface OpenText {
  file: FileHandle
  refuse: Refuse
  signal: AbortSignal
}

const marks: readonly (Encoding & { bytes: readonly number[] })[] = [
  { name: 'utf-8', mark: 3, bytes: [0xef, 0xbb, 0xbf] },
  { name: 'gb18030', mark: 4, bytes: [0x84, 0x31, 0x95, 0x33] },
  { name: 'utf-16le', mark: 2, bytes: [0xff, 0xfe] },
  { name: 'utf-16be', mark: 2, bytes: [0xfe, 0xff] },
]

/**
 * By the byte order mark; else as configured; else UTF-8 where all of the file is, else GB18030. Where it may be either, as the folder's files
 * were before. Throws QZ-FILE where that is not known, and where lines of both are in it, which is seen only here: nearly all UTF-8 is also
 * GB18030, of other characters. What is not of the encoding at all is refused when it is read.
 */
export async function encodingOf(text: OpenText, wanted: FileFormat['encoding'], before?: Known): Promise<Encoding & { certain?: Known }> {
  const { buffer } = await text.file.read(Buffer.alloc(4), 0, 4, 0)
  const marked = marks.find(({ bytes }) => bytes.every((byte, i) => buffer[i] === byte))
  if (marked) return { name: marked.name, mark: marked.mark }
  if (wanted === 'utf-8') return { name: wanted, mark: 0 }
  if (wanted === undefined) {
    const read = await readsAsUtf8(text)
    if (read === 'ascii') return { name: 'utf-8', mark: 0 }
    if (read === 'narrow' && (await readsAsCommon(text))) {
      if (before === undefined) throw await ambiguous(text)
      return { name: before, mark: 0 }
    }
    if (read === 'both') await refuseByChance(text)
    if (read) return { name: 'utf-8', mark: 0, certain: 'utf-8' }
  }
  await refuseMixed(text)
  if (wanted === undefined) await refuseBig5(text)
  return { name: 'gb18030', mark: 0, certain: 'gb18030' }
}

/**
 * False where it is not. `narrow` where all its characters beyond ASCII have two bytes, as those of GB18030 may that read as UTF-8 by chance;
 * `both` where some have.
 */
async function readsAsUtf8(text: OpenText): Promise<'ascii' | 'narrow' | 'wide' | 'both' | false> {
  let [narrow, wide] = [false, false]
  for await (const piece of pieces(text, 0)) {
    if (!isUtf8(piece)) return false
    if (isAscii(piece)) continue
    const bytes = narrow && wide ? '' : piece.toString('latin1')
    wide ||= /[\xe0-\xff]/.test(bytes)
    narrow ||= /[\xc2-\xdf]/.test(bytes)
  }
  return wide ? (narrow ? 'both' : 'wide') : narrow ? 'narrow' : 'ascii'
}

/** In a file of UTF-8 a line of GB18030 that reads as UTF-8 by chance. */
async function refuseByChance(text: OpenText): Promise<void> {
  const other = await firstLine(text, isByChance)
  if (other === undefined) return
  const utf8 = await firstLine(text, (line) => line.some((byte) => byte >= 0xe0))
  throw mixed(text.refuse, utf8!, other)
}

/** Cells of nothing but characters of two bytes, which are all common ones in GB18030: neither words of other scripts nor signs beside digits. */
function isByChance(line: Buffer): boolean {
  if (isAscii(line) || line.some((byte) => byte >= 0xe0)) return false
  const text = line.toString('latin1')
  return [...text.matchAll(/[\x80-\xff]+/g)].every(({ 0: run, index }) => {
    const beside = text.slice(Math.max(0, index - 1), index) + text.slice(index + run.length, index + run.length + 1)
    const bytes = Buffer.from(run, 'latin1')
    return !/[a-z\d]/i.test(beside) && isOf('gb18030', bytes) && isCommon(gb.decode(bytes))
  })
}

/** Whether all that is not ASCII would be common Chinese characters in GB18030. */
async function readsAsCommon(text: OpenText): Promise<boolean> {
  for await (const piece of pieces(text, 0)) if (!isOf('gb18030', piece) || !isCommon(gb.decode(piece))) return false
  return true
}

async function ambiguous(text: OpenText): Promise<Error> {
  const line = (await firstLine(text, (bytes) => !isAscii(bytes))) ?? 1
  return text.refuse(
    lineName(line),
    '既可能是 GB18030 也可能是 UTF-8：请在来源中设 encoding，或存为带 BOM 的 UTF-8',
    'it may be GB18030 as well as UTF-8: set encoding at the source, or save the file with a byte order mark',
  )
}

/** Bytes by which a text in Big5 is told. */
const sampledBytes = 1 << 20

/** Nearly all of Big5 is GB18030 too, of rare characters. */
async function refuseBig5(text: OpenText): Promise<void> {
  const counted = { wide: 0, common: 0 }
  const big5 = { wide: 0, common: 0 }
  let bytes = 0
  for await (const piece of pieces(text, 0)) {
    if (!isOf('gb18030', piece) || !isOf('big5', piece)) return
    count(gb.decode(piece), isCommonOne, counted)
    // The first level of Big5, by use.
    for (const character of new TextDecoder('big5').decode(piece)) count(character, isTraditional, big5)
    if ((bytes += piece.length) >= sampledBytes) break
  }
  if (counted.wide < 8 || counted.common > counted.wide * 0.6 || big5.common < big5.wide * 0.9) return
  throw text.refuse(wholeFile, '编码像是 Big5：请转换为 UTF-8 或 GB18030', 'its encoding seems to be Big5: save it as UTF-8 or GB18030')
}

function count(text: string, common: (character: string) => boolean, counted: { wide: number; common: number }): void {
  for (const character of text) {
    if (character < '\u0080') continue
    counted.wide++
    if (common(character)) counted.common++
  }
}

async function refuseMixed(text: OpenText): Promise<void> {
  for await (const piece of pieces(text, 0)) {
    if (!hasUtf8Line(piece)) continue
    const [utf8, other] = [await firstLine(text, hasUtf8Line), await firstLine(text, (line) => !isUtf8(line))]
    // All of it is UTF-8: it was said to be GB18030.
    if (other === undefined) throw text.refuse(wholeFile, '编码是 UTF-8，不是 GB18030', 'its encoding is UTF-8, not GB18030')
    throw mixed(text.refuse, utf8!, other)
  }
}

function mixed(refuse: Refuse, utf8: number, other: number): Error {
  const where = lineName(Math.max(utf8, other))
  return refuse(
    where,
    `编码混杂：第 ${utf8} 行是 UTF-8，第 ${other} 行是 GB18030，请统一编码后重新导出`,
    `two encodings: line ${utf8} is UTF-8, line ${other} is GB18030; save the file in one`,
  )
}

/** The text of a file, as it is decoded. Throws QZ-FILE naming the line that is not of the encoding. */
export async function* readText(text: OpenText, { name, mark }: Encoding): AsyncGenerator<string> {
  const decoder = new TextDecoder(name, { fatal: true, ignoreBOM: true })
  for await (const piece of pieces(text, mark, name)) {
    let decoded: string
    try {
      decoded = decoder.decode(piece)
    } catch (error) {
      throw await notOf(text, name, error)
    }
    if (decoded.includes('\0')) throw text.refuse(wholeFile, '含有空字符，不是文本文件', 'it holds U+0000: it is no text file')
    yield decoded
  }
}

async function notOf(text: OpenText, name: Encoding['name'], cause: unknown): Promise<Error> {
  const { refuse } = text
  if (name.startsWith('utf-16')) return refuse(wholeFile, '不是有效的 UTF-16', 'it is not valid UTF-16', cause)
  const wrong = (await firstLine(text, (line) => !isOf(name, line))) ?? 1
  if (name === 'utf-8') return refuse(lineName(wrong), '不是有效的 UTF-8', 'it is not valid UTF-8', cause)
  const other = await firstLine(text, (line) => !isUtf8(line) && isOf(name, line))
  if (other !== undefined && (await firstLine(text, (line) => isUtf8(line) && !isOf(name, line))) === wrong)
    return mixed(refuse, wrong, other)
  return refuse(lineName(wrong), '既不是 UTF-8 也不是 GB18030', 'it is neither UTF-8 nor GB18030', cause)
}

function isOf(name: Encoding['name'] | 'big5', line: Buffer): boolean {
  if (name === 'utf-8') return isUtf8(line)
  try {
    new TextDecoder(name, { fatal: true }).decode(line)
    return true
  } catch {
    return false
  }
}

/** The number of the first line that is so, counted from 1. */
async function firstLine(text: OpenText, isSo: (line: Buffer) => boolean): Promise<number | undefined> {
  let number = 1
  for await (const piece of pieces(text, 0)) {
    for (let from = 0; from < piece.length;) {
      const end = piece.indexOf(0x0a, from)
      if (isSo(piece.subarray(from, end < 0 ? piece.length : end))) return number
      if (end < 0) break
      from = end + 1
      number++
    }
  }
  return undefined
}

const gb = new TextDecoder('gb18030')

/** The 3,755 characters of the first level of GB 2312, and the 5,401 of Big5's: nearly all that texts consist of. */
let common: ReadonlySet<string> | undefined
let traditional: ReadonlySet<string> | undefined

function isCommonOne(character: string): boolean {
  common ??= charactersOf('gb18030', [0xb0, 0xd7], [[0xa1, 0xfe]])
  return common.has(character) || isPunctuation(character)
}

function isTraditional(character: string): boolean {
  traditional ??= charactersOf(
    'big5',
    [0xa4, 0xc6],
    [
      [0x40, 0x7e],
      [0xa1, 0xfe],
    ],
  )
  return traditional.has(character) || isPunctuation(character)
}

function isPunctuation(character: string): boolean {
  return (character >= '\u3000' && character <= '\u303f') || character >= '\uff00'
}

function charactersOf(encoding: string, [first, last]: [number, number], cells: [number, number][]): ReadonlySet<string> {
  const bytes: number[] = []
  for (let row = first; row <= last; row++) for (const [from, to] of cells) for (let cell = from; cell <= to; cell++) bytes.push(row, cell)
  const text = new TextDecoder(encoding).decode(Uint8Array.from(bytes))
  return new Set(Array.from(text).filter((character) => character > '\u007f' && character !== '\ufffd' && !/\p{Co}/u.test(character)))
}

const lineFeed = 0x0a

/**
 * Whether a line is Chinese in UTF-8: at least two characters of three bytes, all of them common ones. A line of GB18030 that reads so by
 * chance would consist of rare characters.
 */
function hasUtf8Line(bytes: Buffer): boolean {
  for (let start = 0; start < bytes.length;) {
    let at = start
    let wide = 0
    for (let width = 1; width > 0 && at < bytes.length && bytes[at] !== lineFeed; at += width) {
      width = characterBytes(bytes, at)
      if (width === 3) wide++
    }
    const ended = at >= bytes.length || bytes[at] === lineFeed
    if (ended && wide >= 2 && isCommon(bytes.subarray(start, at).toString('utf8'))) return true
    const end = bytes.indexOf(lineFeed, at)
    if (end < 0) return false
    start = end + 1
  }
  return false
}

/** Of a character of ASCII, or of three bytes in UTF-8 (Chinese ones, full-width forms); 0 for all others. */
function characterBytes(bytes: Buffer, at: number): 0 | 1 | 3 {
  const byte = bytes[at]!
  if (byte < 0x80) return 1
  return byte >= 0xe3 && byte <= 0xef && isTrail(bytes[at + 1]) && isTrail(bytes[at + 2]) ? 3 : 0
}

function isTrail(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte <= 0xbf
}

function isCommon(text: string): boolean {
  for (const character of text) if (character >= '\u0080' && !isCommonOne(character)) return false
  return true
}

/** Small, so that what is made of a piece is forgotten soon; a line that is longer makes it grow. */
const [pieceBytes, longestPiece] = [1 << 16, 1 << 21]

/** A file's bytes in pieces that end with a character. While one is worked on the next is read; a piece is overwritten by the next but one. */
async function* pieces({ file, refuse, signal }: OpenText, from: number, name?: Encoding['name']): AsyncGenerator<Buffer> {
  const ending = name === 'utf-16le' ? unitsEnd(1) : name === 'utf-16be' ? unitsEnd(2) : lineEnd
  let [buffer, spare] = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)]
  let position = from
  let held = 0
  const read = (into: Buffer) => {
    const reading = file.read(into, held, into.length - held, position)
    // It is awaited when the piece before has been worked on.
    reading.catch(() => undefined)
    return reading
  }
  let reading = read(buffer)
  try {
    for (;;) {
      const { bytesRead } = await reading
      signal.throwIfAborted()
      const filled = held + bytesRead
      if (bytesRead === 0) {
        if (filled > 0) yield buffer.subarray(0, filled)
        return
      }
      position += bytesRead
      const end = ending(buffer.subarray(0, filled))
      held = filled - end
      if (held >= longestPiece) throw refuse(wholeFile, '没有行，不是文本文件', 'it has no lines: it is no text file')
      const wanted = held === buffer.length ? held * 2 : buffer.length
      if (spare.length < wanted) spare = Buffer.allocUnsafe(wanted)
      buffer.copy(spare, 0, end, filled)
      reading = read(spare)
      const piece = buffer.subarray(0, end)
      ;[buffer, spare] = [spare, buffer]
      if (end > 0) yield piece
    }
  } finally {
    await reading.catch(() => undefined)
  }
}

/** Behind the last line; else behind the last byte below 0x30, which is part of a longer character in neither UTF-8 nor GB18030. */
function lineEnd(bytes: Buffer): number {
  const line = bytes.lastIndexOf(0x0a)
  if (line >= 0) return line + 1
  return bytes.findLastIndex((byte) => byte < 0x30) + 1
}

/** Behind the last unit of UTF-16 that is no high surrogate, whose upper byte stands so far from its end. */
function unitsEnd(upper: 1 | 2): (bytes: Buffer) => number {
  return (bytes) => {
    const end = bytes.length & ~1
    return end > 0 && (bytes[end - upper]! & 0xfc) === 0xd8 ? end - 2 : end
  }
}
