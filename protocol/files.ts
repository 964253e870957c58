/**
 * Files as rows of a resource: one row for each part of a file, so that a file of any size travels in batches of the usual size and goes on
 * where it was cut off. Every part's row names the SHA-256 of the whole file under the provider's signature: who has all parts and finds
 * that hash over them has verified the signature over the whole.
 */
import type { LocalizedText } from './localized.ts'
import { longestTextKey, type Item, type Openness, type Schema } from './schema.ts'
import { valueFault, type Value } from './value.ts'

/** Bytes of a file in one part, the last one excepted; a file without any has one empty part. */
export const partBytes = 256 * 1024
/** Bytes of the largest file: its number of parts, and the place of each byte, are exact. */
const largestFile = 2 ** 42

const shapes = [
  { id: 'name', label: '文件名', type: 'text', length: longestTextKey, key: true },
  { id: 'part', label: '分段序号', type: 'integer', key: true },
  { id: 'parts', label: '分段数', type: 'integer' },
  { id: 'size', label: '文件字节数', type: 'integer' },
  { id: 'modified', label: '修改时间', type: 'timestamptz' },
  { id: 'sha256', label: '全文件 SHA-256', type: 'text', length: 64 },
  { id: 'content', label: '分段内容', type: 'binary' },
] as const satisfies Omit<Item, 'name' | 'openness'>[]

/** Items of a resource whose rows are files, in the order in which they are always written here. */
export function fileItems(openness: Openness): Item[] {
  return shapes.map((shape) => ({ ...shape, name: shape.id, openness, ...(!('key' in shape) && { required: true }) }))
}

export const fileItemIds: readonly string[] = shapes.map(({ id }) => id)

/** Whether a resource's rows are files: it has exactly these items. Labels, columns, openness and roles may be its own. */
export function isFileSchema({ items }: Pick<Schema, 'items'>): boolean {
  return items.length === shapes.length && items.every((item) => isFileItem(item))
}

function isFileItem({ id, type, key = false, length }: Item): boolean {
  const shape = shapes.find((wanted) => wanted.id === id)
  if (!shape || shape.type !== type || key !== 'key' in shape) return false
  return !('length' in shape) || length === shape.length
}

/** What a part's row says of its file. */
export interface FilePart {
  /** Path from the folder's top, `/` between its segments. */
  name: string
  /** From 0. */
  part: number
  parts: number
  /** Bytes of the file. */
  size: number
  /** RFC 3339, UTC. */
  modified: string
  /** Hexadecimal, of the whole file. */
  sha256: string
}

export function partsOf(size: number): number {
  return Math.max(1, Math.ceil(size / partBytes))
}

/** Bytes in one part of a file of this size. */
export function partLength(size: number, part: number): number {
  return Math.max(0, Math.min(partBytes, size - part * partBytes))
}

/** A part as a row's values by item id. */
export function partValues({ name, part, parts, size, modified, sha256 }: FilePart, content: Buffer): Record<string, string> {
  return { name, part: String(part), parts: String(parts), size: String(size), modified, sha256, content: content.toString('base64') }
}

/** What values by item id say, or undefined where they do not fit together: whoever signed them, they are no part of a file. */
export function readPart(values: Readonly<Record<string, Value>>): { part: FilePart; content: Buffer } | undefined {
  const { name, modified, sha256, content } = values
  const [part, parts, size] = [Number(values['part']), Number(values['parts']), Number(values['size'])]
  if (typeof name !== 'string' || typeof modified !== 'string' || typeof content !== 'string') return undefined
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return undefined
  if (!Number.isSafeInteger(size) || size < 0 || size > largestFile || parts !== partsOf(size)) return undefined
  if (!Number.isInteger(part) || part < 0 || part >= parts) return undefined
  const bytes = Buffer.from(content, 'base64')
  if (bytes.length !== partLength(size, part)) return undefined
  return { part: { name, part, parts, size, modified, sha256 }, content: bytes }
}

/** Controls, and marks that turn the direction of writing: a name must be what it looks like. */
const unseen = /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/u
const reserved = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$)(?: *\..*)?$/i

/**
 * Why a name is not written into any folder, or undefined where it may be: every system must take it for the same file, and none for
 * something outside the folder.
 */
export function fileNameFault(name: string): LocalizedText | undefined {
  if (!name.isWellFormed() || name.includes('\uFFFD')) return { zh: '文件名编码有误', en: 'the name is not well encoded' }
  if (unseen.test(name)) return { zh: '文件名含控制字符', en: 'the name holds control characters' }
  if (valueFault({ type: 'text', length: longestTextKey }, name) !== undefined)
    return { zh: `文件名（含路径）超过 ${longestTextKey} 个字符`, en: `the name with its path is longer than ${longestTextKey} characters` }
  const wrong = /[\\:*?"<>|]/.exec(name)?.[0]
  if (wrong !== undefined) return { zh: `文件名含字符 ${wrong}`, en: `the name holds the character ${wrong}` }
  for (const segment of name.split('/')) {
    if (segment === '') return { zh: '文件名含空的路径段', en: 'a part of the path is empty' }
    if (segment.startsWith('.')) return { zh: '文件名或目录名以点开头', en: 'a part of the path begins with a dot' }
    if (/[. ]$/.test(segment)) return { zh: '文件名或目录名以点或空格结尾', en: 'a part of the path ends with a dot or a space' }
    if (reserved.test(segment)) return { zh: `${segment} 是 Windows 保留名`, en: `${segment} is a reserved name of Windows` }
  }
  return undefined
}
