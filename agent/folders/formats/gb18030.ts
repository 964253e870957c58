/** Texts as GB18030-2022, the inverse of what `TextDecoder('gb18030')` reads (encoding.spec.whatwg.org, section 10.2). */
import iconv from 'iconv-lite'

/** Private characters whose places the edition of 2022 gave to others, and U+E5E5, which has none: the encoder would write what reads as another. */
const without = /[\ue5e5\ue78d-\ue796\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864]/

export function encodable(text: string): boolean {
  return text.isWellFormed() && !without.test(text)
}

/** Throws a RangeError where the text is not `encodable`. */
export function encodeGb18030(text: string): Buffer {
  if (!encodable(text)) throw new RangeError('a character is not in GB18030')
  return iconv.encode(text, 'gb18030')
}
