/**
 * Texts for people. What the product itself says stands in both languages, and each reader is shown their own; what a person wrote, and
 * what a database server or a library reports, stays as it is.
 */

export type Language = 'zh' | 'en'

/** One text in both languages. */
export type LocalizedText = Record<Language, string>

/** A text that reads the same in both: a name, a number, the message of a library. */
export function same(text: string): LocalizedText {
  return { zh: text, en: text }
}

export function inLanguage(text: string | number | LocalizedText, language: Language): string {
  return isLocalized(text) ? text[language] : String(text)
}

/** Several texts as one; `separator` may differ by language. */
export function joinTexts(texts: readonly (string | number | LocalizedText)[], separator: string | LocalizedText): LocalizedText {
  const joined = (language: Language) => texts.map((text) => inLanguage(text, language)).join(inLanguage(separator, language))
  return { zh: joined('zh'), en: joined('en') }
}

/** `1 row`, `2 rows`, `1 entry`, `2 entries`: a number and what it counts, in English. */
export function counted(number: number | string, unit: string): string {
  const plural = /[^aeiou]y$/.test(unit) ? `${unit.slice(0, -1)}ies` : /(?:s|x|ch|sh)$/.test(unit) ? `${unit}es` : `${unit}s`
  return `${number} ${String(number) === '1' ? unit : plural}`
}

export function isLocalized(value: unknown): value is LocalizedText {
  if (typeof value !== 'object' || value === null) return false
  return 'zh' in value && typeof value.zh === 'string' && 'en' in value && typeof value.en === 'string'
}

/** For a text column: a text of ours as the JSON of both languages, any other as it is. */
export function storeText(text: string | LocalizedText): string {
  return isLocalized(text) ? JSON.stringify({ zh: text.zh, en: text.en }) : text
}

/** What `storeText` wrote; texts of earlier versions, and of people, come back as they are. */
export function readText(stored: string): string | LocalizedText {
  if (!stored.startsWith('{"zh":')) return stored
  try {
    const value: unknown = JSON.parse(stored)
    return isLocalized(value) ? value : stored
  } catch {
    return stored
  }
}
