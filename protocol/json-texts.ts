/**
 * Counts the elements of a JSON array of strings and nulls (RFC 8259, without white space between tokens) without making them:
 * the hub checks every block it stores and reads none. About a quarter of what JSON.parse costs, and no garbage. The bytes must be UTF-8.
 * Throws where it is anything else, and at a null where `nulls` are not allowed.
 */
export function countTexts(json: Uint8Array, start: number, nulls = true): number {
  let at = start
  if (json[at++] !== opening) throw new SyntaxError('it is no JSON array')
  if (json[at] === closing && at + 1 === json.length) return 0
  for (let count = 1; ; count++) {
    at = json[at] === quote ? endOfText(json, at + 1) : endOfNull(json, at, nulls)
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
  if (byte !== letterU || at + 5 > json.length) throw new SyntaxError(`a wrong escape at ${at}`)
  for (let i = at + 1; i < at + 5; i++) if (!isHex(json[i]!)) throw new SyntaxError(`a wrong escape at ${at}`)
  return at + 5
}

function isHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}

function endOfNull(json: Uint8Array, at: number, allowed: boolean): number {
  if (!allowed) throw new SyntaxError(`no text at ${at}`)
  if (json[at] === 0x6e && json[at + 1] === letterU && json[at + 2] === 0x6c && json[at + 3] === 0x6c) return at + 4
  throw new SyntaxError(`neither text nor null at ${at}`)
}
