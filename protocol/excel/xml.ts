import { SaxesParser } from 'saxes'
import { QianzhiError, reasonOf } from '../errors.ts'
import type { Part } from './archive.ts'
import { excelFault, wholeFile } from './fault.ts'

/** What a part's reader hears of. Names come without their namespace prefix, which producers choose as they like. */
export interface XmlHandler {
  /** `end`: characters of the part up to behind the tag. */
  open?(name: string, attributes: Readonly<Record<string, string>>, end: number): void
  close?(name: string, end: number): void
  text?(text: string): void
}

const deepest = 64
/** Characters between two events: one text, attribute list or comment. */
const longestToken = 1 << 20

/**
 * Parses a part as it is unpacked; yields each chunk's text behind it, so that the consumer can take what its handler has gathered. UTF-8 only.
 * A document type declaration is refused, which leaves no entities but XML's own five. Throws QZ-EXCEL.
 */
export async function* parseXml(part: Part, handler: XmlHandler): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const progress = { since: 0 }
  const parser = listening(part.name, handler, progress)
  for await (const chunk of part.chunks()) {
    let text = ''
    parsing(part.name, () => {
      text = decoder.decode(chunk, { stream: true })
      progress.since += text.length
      parser.write(text)
      if (progress.since > longestToken) throw excelFault(wholeFile, `${part.name} 中有过长的内容`, `${part.name} holds too long a text`)
    })
    yield text
  }
  parsing(part.name, () => {
    parser.write(decoder.decode())
    parser.close()
  })
  yield ''
}

/** Parses a small part to its end. */
export async function readXml(part: Part, handler: XmlHandler): Promise<void> {
  for await (const _ of parseXml(part, handler));
}

function listening(part: string, handler: XmlHandler, progress: { since: number }): SaxesParser<{ xmlns: false }> {
  const parser = new SaxesParser({ xmlns: false, position: false })
  let depth = 0
  parser.on('doctype', () => {
    throw excelFault(wholeFile, `${part} 含有 DTD`, `${part} holds a document type declaration`)
  })
  parser.on('opentag', (tag) => {
    progress.since = 0
    if (++depth > deepest) throw excelFault(wholeFile, `${part} 嵌套过深`, `${part} is nested too deep`)
    handler.open?.(localName(tag.name), tag.attributes, parser.position)
  })
  parser.on('closetag', (tag) => {
    progress.since = 0
    depth--
    handler.close?.(localName(tag.name), parser.position)
  })
  const text = (found: string): void => {
    progress.since = 0
    handler.text?.(found)
  }
  parser.on('text', text)
  parser.on('cdata', text)
  return parser
}

function parsing(part: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (error instanceof QianzhiError) throw error
    throw excelFault(wholeFile, `${part} 不是有效的 XML：${reasonOf(error)}`, `${part} is not valid XML: ${reasonOf(error)}`, error)
  }
}

function localName(name: string): string {
  const colon = name.indexOf(':')
  return colon < 0 ? name : name.slice(colon + 1)
}

/** An attribute by its local name, whatever prefix it has (`r:id`). */
export function prefixedAttribute(attributes: Readonly<Record<string, string>>, name: string): string | undefined {
  return attributes[name] ?? Object.entries(attributes).find(([key]) => key.endsWith(`:${name}`))?.[1]
}
