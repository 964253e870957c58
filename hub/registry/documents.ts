import { QianzhiError } from '../../protocol/errors.ts'

/** What people put on file: at most so many bytes. */
export const documentLimit = 10 << 20

/** The kinds of document that are taken, by the file name's end, and how such a file begins. */
const documents = {
  pdf: { type: 'application/pdf', called: 'PDF', holds: (bytes: Buffer) => bytes.subarray(0, 5).equals(Buffer.from('%PDF-')) },
  docx: {
    type: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    called: 'DOCX',
    holds: (bytes: Buffer) => bytes.subarray(0, 4).equals(Buffer.from('PK\x03\x04')) && bytes.includes('word/document.xml'),
  },
  jpg: { type: 'image/jpeg', called: 'JPG', holds: (bytes: Buffer) => bytes.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff])) },
  png: {
    type: 'image/png',
    called: 'PNG',
    holds: (bytes: Buffer) => bytes.subarray(0, 8).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])),
  },
  txt: { type: 'text/plain; charset=utf-8', called: 'TXT (UTF-8)', holds: isUtf8Text },
} as const

export type DocumentKind = keyof typeof documents

function isUtf8Text(bytes: Buffer): boolean {
  try {
    return !new TextDecoder('utf-8', { fatal: true }).decode(bytes).includes('\0')
  } catch {
    return false
  }
}

/**
 * The media type of a file, by what it holds and not by what it is called alone. Throws QZ-REQUEST-INVALID where it is not one of these kinds,
 * or is named for something else.
 */
export function documentType(name: string, content: Buffer, kinds: readonly DocumentKind[]): string {
  const end = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? ''
  const kind = kinds.find((one) => one === (end === 'jpeg' ? 'jpg' : end))
  if (kind && content.length > 0 && documents[kind].holds(content) && /^[^/\\\p{C}]+$/u.test(name)) return documents[kind].type
  const taken = kinds.map((one) => documents[one].called)
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: {
      zh: `只接受 ${taken.join('、')} 文件，文件名的后缀须与内容一致`,
      en: `only ${taken.join(', ')} is taken, by content and by the end of its name`,
    },
  })
}
