import type { Row } from '../../database.ts'

/**
 * A key as bytes that sort as a person would sort the keys: numbers, also those in texts, by their value, texts by their characters.
 * Different keys have different bytes. No value holds U+0000.
 */
export function keyOrder(key: Row): Buffer {
  return Buffer.from(key.map((value) => (value === null ? '3\0' : (numberOrder(value) ?? `2${value}\0`))).join(''))
}

const numberForm = /^(-?)0*(\d+)(?:\.(\d+))?$/

function numberOrder(value: string): string | undefined {
  const parts = numberForm.exec(value)
  if (!parts) return undefined
  const [, sign, whole, fraction] = parts
  if (whole!.length > 99) return undefined
  const amount = `${String(whole!.length).padStart(2, '0')}${whole}${fraction === undefined ? '' : `.${fraction}`}`
  // Zeros before a number are lost to its order, not to the key.
  const zeros = value.length - sign!.length - (amount.length - 2)
  const form = zeros === 0 ? '' : `${zeros}`
  return sign ? `0${amount.replace(/\d/g, (digit) => String(9 - Number(digit)))}~${form}\0` : `1${amount}\0${form}\0`
}
