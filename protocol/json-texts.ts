export interface TextRules {
  nulls?: boolean
  longest?: number
}

/**
 * Counts the elements of a JSON array of strings and nulls (RFC 8259, without white space between tokens) without making them:
 * the hub checks every block it stores and reads none. About a quarter of what JSON.parse costs, and no garbage. The bytes must be UTF-8.
 * Throws where it is anything else, at a null where `nulls` are not allowed, at a text of more than `longest` bytes as it is written, and at
 * what no receiver can keep in a text: U+0000, and half a surrogate pair.
 */
export function countTexts(json: Uint8Array, start: number, { nulls = true, longest = Infinity }: TextRules = {}): number {
  let at = start
  if (json[at++] !== opening) throw new SyntaxError('it is no JSON array')
  if (json[at] === closing && at + 1 === json.length) return 0
  for (let count = 1; ; count++) {
    const began = at
    at = json[at] === quote ? endOfText(json, at + 1) : endOfNull(json, at, nulls)
    if (at - began > longest) throw new SyntaxError(`a text of ${at - began} bytes`)
    const next = json[at++]
    if (next === closing && at === json.length) return count
    if (next !== comma) throw new SyntaxError(`unexpected byte at ${at - 1}`)
  }
}

const [opening, closing, comma, quote, backslash, letterU] = [0x5b, 0x5d, 0x2c, 0x22, 0x5c, 0x75]
/** `" \ / b f n r t`, which may follow a backslash. */
const escapable = new Set([0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74])

function endOfText(json: Uint8Array, start: number): number {
  const length = json.length
  let at = start
  while (at < length) {
    const byte = json[at++]!
    if (byte === quote) return at
    if (byte === backslash) at = endOfEscape(json, at)
    else if (byte < 0x20) throw new SyntaxError(`a control character at ${at - 1}`)
  }
  throw new SyntaxError('a text does not end')
}

function endOfEscape(json: Uint8Array, at: number): number {
  if (at >= json.length) throw new SyntaxError('an escape is cut off')
  const byte = json[at]!
  if (escapable.has(byte)) return at + 1
  if (byte !== letterU) throw new SyntaxError(`a wrong escape at ${at}`)
  const unit = unitAt(json, at + 1)
  if (unit === 0) throw new SyntaxError(`U+0000 at ${at}`)
  if (!isSurrogate(unit, 0xd800) && !isSurrogate(unit, 0xdc00)) return at + 5
  const paired = isSurrogate(unit, 0xd800) && json[at + 5] === backslash && json[at + 6] === letterU
  if (!paired || !isSurrogate(unitAt(json, at + 7), 0xdc00)) throw new SyntaxError(`half a surrogate pair at ${at}`)
  return at + 11
}

/** Of the 1,024 that begin there. */
function isSurrogate(unit: number, first: number): boolean {
  return unit >= first && unit < first + 0x400
}

/** The UTF-16 code unit of four hexadecimal digits. */
function unitAt(json: Uint8Array, at: number): number {
  let unit = 0
  for (let i = at; i < at + 4; i++) unit = unit * 16 + hexDigit(json[i], i)
  return unit
}

function hexDigit(byte: number | undefined, at: number): number {
  if (byte !== undefined && byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = (byte ?? 0) | 0x20
  if (letter >= 0x61 && letter <= 0x66) return letter - 0x57
  throw new SyntaxError(`a wrong escape at ${at}`)
}

function endOfNull(json: Uint8Array, at: number, allowed: boolean): number {
  if (!allowed) throw new SyntaxError(`no text at ${at}`)
  if (json[at] === 0x6e && json[at + 1] === letterU && json[at + 2] === 0x6c && json[at + 3] === 0x6c) return at + 4
  throw new SyntaxError(`neither text nor null at ${at}`)
}
