/** The fields of a catalog entry, and of its items, as registering asks for them. */
import { operations, type Field, type Text } from './meta.ts'

export const entryFields: readonly Field[] = operations['registration.change']!.body!.find(({ name }) => name === 'content')!.fields!
export const itemFields: readonly Field[] = entryFields.find(({ name }) => name === 'items')!.fields!

/** What a field of an entry, or of its items, is called. */
export function entryName(name: string): Text {
  return [...entryFields, ...itemFields].find((field) => field.name === name)?.text ?? { zh: name, en: name }
}
