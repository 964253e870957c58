/** Text that is HTML already. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Part = string | number | Html | readonly Html[] | undefined

/** A template whose values are escaped, but for those that are HTML already. */
export function markup(texts: TemplateStringsArray, ...values: Part[]): Html {
  return new Html(texts.map((text, i) => text + asHtml(values[i])).join(''))
}

function asHtml(value: Part): string {
  if (value instanceof Html) return value.text
  if (value === undefined) return ''
  if (typeof value === 'object') return value.map(({ text }) => text).join('')
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
