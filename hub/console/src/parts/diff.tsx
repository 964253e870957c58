/** What two versions of a catalog entry differ in. */
import { entryName, itemFields } from '../catalog-fields.ts'
import { valueText } from '../fields.ts'
import type { Text } from '../meta.ts'
import { t, useWords } from '../words.tsx'
import '../style/grid.css'

interface Change {
  field: string
  before: unknown
  after: unknown
}

interface Item {
  id?: string
  label?: string
  type?: string
  openness?: string
}

export interface Diff {
  metadata: Change[]
  added: Item[]
  removed: Item[]
  changed: { item: string; fields: Change[] }[]
}

interface Line {
  /** A shape beside the word. */
  sign: string
  what: Text
  where: string
  before: string
  after: string
}

/** `labels` of items, by their ids. */
export function DiffTable({ diff, labels }: { diff: Diff; labels: ReadonlyMap<string, string> }) {
  const { say } = useWords()
  const lines = linesOf(diff, labels, say)
  if (lines.length === 0) return <p className="muted">{say(t('与现行版本相同。', 'It is as the version in force.'))}</p>
  return (
    <div className="rows diff" role="region" aria-label={say(t('与现行版本的差异', 'Differences from the version in force'))} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {[t('变更', 'change'), t('何处', 'where'), t('原来', 'before'), t('现在', 'now')].map((name) => (
              <th key={name.en}>{say(name)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {lines.map(({ sign, what, where, before, after }) => (
            <tr key={`${what.en} ${where}`}>
              <td className="state">
                <span aria-hidden="true">{sign}</span> {say(what)}
              </td>
              <td>{where}</td>
              <td>{before}</td>
              <td>{after}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const itemName = (field: string): Text => itemFields.find(({ name }) => name === field)?.text ?? entryName(field)

function linesOf({ metadata, added, removed, changed }: Diff, labels: ReadonlyMap<string, string>, say: (text: Text) => string): Line[] {
  const value = (one: unknown, field: string) => valueText(one, field, undefined, say)
  const told = ({ type, openness }: Item) => [value(type, 'type'), value(openness, 'openness')].join(' · ')
  const name = ({ id = '', label = id }: Item) => label
  const first = (text: string) => text.split(/[\uff0c,;\uff1b(\uff08]/)[0]!
  return [
    ...removed.map((item) => ({ sign: '✕', what: t('删除信息项', 'item removed'), where: name(item), before: told(item), after: '—' })),
    ...added.map((item) => ({ sign: '●', what: t('增加信息项', 'item added'), where: name(item), before: '—', after: told(item) })),
    ...changed.flatMap(({ item, fields }) =>
      fields.map(({ field, before, after }) => ({
        sign: '◐',
        what: t('修改信息项', 'item changed'),
        where: `${labels.get(item) ?? item} · ${first(say(itemName(field)))}`,
        before: value(before, field),
        after: value(after, field),
      })),
    ),
    ...metadata.map(({ field, before, after }) => ({
      sign: '◐',
      what: t('修改基本信息', 'entry changed'),
      where: first(say(entryName(field))),
      before: value(before, field),
      after: value(after, field),
    })),
  ]
}
