/**
 * Texts as GB18030-2022, the inverse of what `TextDecoder('gb18030')` reads: the table is what the decoder itself says of every sequence.
 */
let codes: Uint32Array | undefined

/** Private characters that GB18030 as the decoder knows it has no place for: U+E5E5. */
export function encodable(text: string): boolean {
  if (!text.isWellFormed()) return false
  if (!/[\ue000-\uf8ff]/.test(text)) return true
  codes ??= readCodes()
  for (let i = 0; i < text.length; i++) if (codes[text.charCodeAt(i)] === 0 && !isSurrogate(text.charCodeAt(i))) return false
  return true
}

/** Throws a RangeError at a character that is not `encodable`. */
export function encodeGb18030(text: string): Buffer {
  codes ??= readCodes()
  const bytes = Buffer.allocUnsafe(text.length * 4)
  let to = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) {
      bytes[to++] = unit
      continue
    }
    const code = isSurrogate(unit) ? supplementary(text.codePointAt(i++)!) : codes[unit]!
    if (code === 0) throw new RangeError(`U+${unit.toString(16)} is not in GB18030`)
    to = code > 0xffff ? bytes.writeUInt32BE(code, to) : bytes.writeUInt16BE(code, to)
  }
  return bytes.subarray(0, to)
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xe000
}

/** Characters beyond U+FFFF stand one after the other from 0x90308130 on. */
function supplementary(point: number): number {
  return point > 0xffff ? fourBytes(189_000 + point - 0x10000) : 0
}

function fourBytes(linear: number): number {
  const digits = [
    Math.floor(linear / 12_600) + 0x81,
    (Math.floor(linear / 1260) % 10) + 0x30,
    (Math.floor(linear / 10) % 126) + 0x81,
    (linear % 10) + 0x30,
  ]
  return Buffer.from(digits).readUInt32BE(0)
}

/** Code by character up to U+FFFF; 0 for none. Where two sequences give one character, the first one of two bytes is written. */
function readCodes(): Uint32Array {
  const sequences: number[] = []
  for (let first = 0x81; first <= 0xfe; first++) {
    for (let second = 0x40; second <= 0xfe; second++) if (second !== 0x7f) sequences.push(first * 256 + second)
  }
  for (let linear = 0; linear < 39_420; linear++) sequences.push(fourBytes(linear))
  const texts = new TextDecoder('gb18030').decode(Buffer.concat(sequences.map(lineOf))).split('\n')
  const found = new Uint32Array(65_536)
  sequences.forEach((code, i) => {
    const text = texts[i]!
    const unit = text.charCodeAt(0)
    // What is no character reads as U+FFFD, which has a sequence of its own.
    if (text.length === 1 && found[unit] === 0 && (unit !== 0xfffd || code === replacement)) found[unit] = code
  })
  return found
}

const replacement = 0x8431a437

function lineOf(code: number): Buffer {
  return Buffer.from(code > 0xffff ? [code >>> 24, (code >>> 16) & 255, (code >>> 8) & 255, code & 255, 10] : [code >>> 8, code & 255, 10])
}
