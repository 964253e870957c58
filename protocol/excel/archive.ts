import { open, stat } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import yauzl from 'yauzl'
import { QianzhiError, reasonOf } from '../errors.ts'
import { excelFault, wholeFile } from './fault.ts'
import type { ExcelLimits } from './limits.ts'

/** One file within a workbook. */
export interface Part {
  name: string
  /** Unpacks it. Throws QZ-EXCEL where its size or checksum is not what the archive says. */
  chunks(): AsyncGenerator<Buffer>
}

/** The zip archive that an .xlsx is. */
export interface Archive {
  /** By name; case does not count (ECMA-376 part 2, 6.2.2.3). */
  part(name: string): Part | undefined
  /** All of them, in the order of the archive; folders left out. */
  parts(): Part[]
  close(): void
}

/** Opens the bytes, or the file of this path. Throws QZ-EXCEL where it is no archive, encrypted, or over a limit. */
export async function openArchive(source: Buffer | string, limits: ExcelLimits): Promise<Archive> {
  const size = typeof source === 'string' ? (await stat(source)).size : source.length
  if (size > limits.fileBytes)
    throw excelFault(wholeFile, `文件大于 ${limits.fileBytes} 字节`, `the file is larger than ${limits.fileBytes} bytes`)
  await checkKind(source)
  // Some programs for Windows separate folders by `\`.
  const options = { lazyEntries: true, autoClose: false, strictFileNames: false }
  const zip = await unzipping(typeof source === 'string' ? yauzl.openPromise(source, options) : yauzl.fromBufferPromise(source, options))
  try {
    const entries = await unzipping(readEntries(zip, limits))
    const partOf = (entry: yauzl.Entry): Part => ({ name: entry.fileName, chunks: () => unpack(zip, entry) })
    return {
      part(name) {
        const entry = entries.get(name.toLowerCase())
        return entry && partOf(entry)
      },
      parts: () => [...entries.values()].filter(({ fileName }) => !fileName.endsWith('/')).map(partOf),
      close: () => zip.close(),
    }
  } catch (error) {
    zip.close()
    throw error
  }
}

async function unzipping<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof QianzhiError || isOfSystem(error)) throw error
    throw excelFault(wholeFile, `文件已损坏：${reasonOf(error)}`, `the file is damaged: ${reasonOf(error)}`, error)
  }
}

/** A share that goes away says nothing of the file. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}

async function readEntries(zip: yauzl.ZipFile, limits: ExcelLimits): Promise<Map<string, yauzl.Entry>> {
  if (zip.entryCount > limits.entries) throw refused(`内含文件超过 ${limits.entries} 个`, `it holds more than ${limits.entries} files`)
  const entries = new Map<string, yauzl.Entry>()
  let total = 0
  for await (const entry of zip.eachEntry()) {
    const { fileName } = entry
    checkEntry(entry, limits)
    total += entry.uncompressedSize
    if (total > limits.unpackedBytes)
      throw refused(`解压后大于 ${limits.unpackedBytes} 字节`, `it unpacks to more than ${limits.unpackedBytes} bytes`)
    if (entries.has(fileName.toLowerCase())) throw refused(`${fileName} 出现两次`, `${fileName} is there twice`)
    entries.set(fileName.toLowerCase(), entry)
  }
  return entries
}

/** yauzl itself refuses names that are absolute or climb with `..`. */
function checkEntry(entry: yauzl.Entry, { ratio, ratioBytes }: ExcelLimits): void {
  const { fileName, compressedSize, uncompressedSize } = entry
  if (entry.isEncrypted()) throw refused('文件已加密，请去除密码后再上传', 'the file is encrypted: remove its password')
  if (!entry.canDecodeFileData()) throw refused(`${fileName} 的压缩方式不受支持`, `${fileName} is packed in an unsupported way`)
  if (uncompressedSize > ratioBytes && uncompressedSize > compressedSize * ratio)
    throw refused(
      `${fileName} 解压后大于 ${ratioBytes} 字节且压缩比超过 ${ratio}：请删除数据之外的空行、空列后另存`,
      `${fileName} unpacks to more than ${ratioBytes} bytes and by more than ${ratio} to 1: delete empty rows and columns beside the data and save it again`,
    )
}

async function* unpack(zip: yauzl.ZipFile, entry: yauzl.Entry): AsyncGenerator<Buffer> {
  const stream = await unzipping(zip.openReadStreamPromise(entry))
  let checksum = 0
  try {
    // It fails by itself as soon as more bytes come than are declared.
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      checksum = crc32(chunk, checksum)
      yield chunk
    }
  } catch (error) {
    if (isOfSystem(error)) throw error
    throw excelFault(wholeFile, `${entry.fileName} 已损坏：${reasonOf(error)}`, `${entry.fileName} is damaged: ${reasonOf(error)}`, error)
  } finally {
    stream.destroy()
  }
  if (checksum !== entry.crc32) throw refused(`${entry.fileName} 的校验值不符`, `${entry.fileName} has another checksum`)
}

/** Old and foreign kinds of files by their first bytes, so that the refusal can say what to do. */
async function checkKind(source: Buffer | string): Promise<void> {
  const bytes = typeof source === 'string' ? await beginning(source) : source
  if (bytes.subarray(0, 2).toString('latin1') === 'PK') return
  const save = { zh: '请在 Excel 中另存为 .xlsx', en: 'save it as .xlsx in Excel' }
  if (bytes.subarray(0, 4).toString('hex') === 'd0cf11e0') {
    const encrypted = bytes.includes(Buffer.from('EncryptedPackage', 'utf16le'))
    if (encrypted) throw refused('文件已加密，请去除密码后再上传', 'the file is encrypted: remove its password')
    throw refused(`这是旧版 .xls 文件，${save.zh}`, `this is an old .xls file: ${save.en}`)
  }
  const html = /^\s*<(?:!doctype|html|table|\?xml)/i.test(bytes.subarray(0, 200).toString('latin1').replace('ï»¿', ''))
  if (html) throw refused(`这是网页或 XML 文件，不是 .xlsx，${save.zh}`, `this is a web page or XML, not .xlsx: ${save.en}`)
  throw refused(`不是 .xlsx 文件（可能是 CSV 或文本），${save.zh}`, `this is not an .xlsx file (CSV or text, perhaps): ${save.en}`)
}

/** Enough of a compound file to meet its directory, which usually stands near its beginning. */
async function beginning(path: string): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1 << 20), 0, 1 << 20, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

function refused(zh: string, en: string): QianzhiError {
  return excelFault(wholeFile, zh, en)
}
