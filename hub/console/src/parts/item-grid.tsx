/** The items of a catalog entry as a grid: one row is edited, the others are text, so that four hundred of them stay quick. */
import { Button, Checkbox } from 'antd'
import { memo, useEffect, useMemo, useRef, useState, type ClipboardEvent, type KeyboardEvent } from 'react'
import { itemFields } from '../catalog-fields.ts'
import { valueText } from '../fields.ts'
import { cellsOf, looksLikeTable, takeIn, type Draft, type NotUnderstood } from '../items-paste.ts'
import { values, type Field, type Text } from '../meta.ts'
import { t, useWords } from '../words.tsx'
import { PlainInput, shortName } from './fields-form.tsx'
import { ItemLimits, limitsOf } from './item-limits.tsx'
import '../style/grid.css'

/** What each item needs first; then what few have. */
const order = ['id', 'label', 'type', 'length', 'precision', 'scale', 'key', 'required', 'openness', 'role', 'sensitivity', 'searchable'] // prettier-ignore
const placeOf = ({ name }: Field) => (order.includes(name) ? order.indexOf(name) : order.length)
const fields = itemFields
  .filter(({ input }) => !['group', 'rows', 'other'].includes(input))
  .toSorted((a, b) => placeOf(a) - placeOf(b) || Number(a.name === 'name') - Number(b.name === 'name'))

interface Place {
  row: number
  column: number
}

/** A field of an item, by their names. */
export interface At {
  readonly item: string
  readonly field: string | null
}

interface GridProps {
  id?: string
  value?: readonly Draft[]
  onChange?: (items: readonly Draft[]) => void
  /** What is wrong with an item, by its id. */
  faults?: Readonly<Record<string, readonly Text[]>>
  /** Where to go now. */
  at?: At | undefined
}

/** `value` and `onChange` as a form gives them. Ctrl+Z takes back; what is pasted comes from a spreadsheet, with or without a line of headings. */
export function ItemGrid({ id, value = [], onChange, faults = {}, at: asked }: GridProps) {
  const { say } = useWords()
  const [active, setActive] = useState<Place>()
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set())
  const [left, setLeft] = useState<readonly NotUnderstood[]>([])
  const [listed, setListed] = useState<number>()
  const table = useRef<HTMLTableElement>(null)
  const past = useRef<{ items: readonly Draft[]; cell?: string }[]>([])
  const dragged = useRef<number>(undefined)
  const items = useRef(value)
  const tell = useRef(onChange)
  items.current = value
  tell.current = onChange

  /** `cell`: what is typed into one place is taken back as a whole. */
  const change = (next: readonly Draft[], cell?: string) => {
    if (cell === undefined || past.current.at(-1)?.cell !== cell)
      past.current.push({ items: items.current, ...(cell !== undefined && { cell }) })
    tell.current?.(next)
  }
  const undo = () => {
    const before = past.current.pop()
    if (before) tell.current?.(before.items)
    setLeft([])
  }
  const row = useMemo(
    () => ({
      activate: (place: Place) => setActive(place),
      set: (at: number, field: Field, to: unknown) =>
        change(
          items.current.map((item, i) => (i === at ? { ...item, [field.name]: to } : item)),
          `${at} ${field.name}`,
        ),
      choose: (at: number, wanted: boolean) =>
        setChosen((before) => {
          const after = new Set(before)
          if (wanted) after.add(at)
          else after.delete(at)
          return after
        }),
      list: (at: number) => setListed(at),
      drag: (at: number) => (dragged.current = at),
      drop: (at: number) => {
        if (dragged.current !== undefined && dragged.current !== at) move(dragged.current, at)
      },
    }),
    // All that it uses is current by its reference.
    [],
  )
  const move = (from: number, to: number) => {
    const next = [...items.current]
    next.splice(to, 0, ...next.splice(from, 1))
    change(next)
    setChosen(new Set())
    setActive({ row: to, column: 0 })
  }
  const add = () => {
    change([...value, { openness: 'internal' }])
    setActive({ row: value.length, column: 0 })
  }
  const remove = () => {
    change(value.filter((_, at) => !chosen.has(at)))
    setChosen(new Set())
    setActive(undefined)
  }
  /** Of the chosen rows, or of all where none is chosen. */
  const setAll = (member: string, to: unknown) =>
    change(value.map((item, at) => (chosen.size === 0 || chosen.has(at) ? { ...item, [member]: to } : item)))

  const pasted = (event: ClipboardEvent) => {
    const text = event.clipboardData.getData('text/plain')
    if (!looksLikeTable(text)) return
    event.preventDefault()
    const place = active ?? { row: value.length, column: 0 }
    const { items: next, notUnderstood } = takeIn(value, cellsOf(text), place, fields, values)
    change(next)
    setLeft(notUnderstood)
  }
  const pressed = (event: KeyboardEvent) => {
    const isSelect = event.target instanceof HTMLSelectElement
    const by =
      event.key === 'Enter' ? (event.shiftKey ? -1 : 1) : isSelect ? 0 : event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (event.key === 'z' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      undo()
    } else if (active && by !== 0) {
      event.preventDefault()
      const column = Number((event.target as HTMLElement).closest('td')?.dataset['column'] ?? 0)
      const to = active.row + by
      if (to === value.length) add()
      else if (to >= 0) setActive({ row: to, column })
    }
  }
  useEffect(() => {
    if (active) table.current?.querySelector<HTMLElement>(`tr.editing td[data-column="${active.column}"] :is(input, select)`)?.focus()
  }, [active])
  useEffect(() => {
    const row = items.current.findIndex(({ id }) => id === asked?.item)
    if (asked && row >= 0)
      setActive({
        row,
        column: Math.max(
          0,
          fields.findIndex(({ name }) => name === asked.field),
        ),
      })
  }, [asked])
  const numbered = value.map((item, at) => ({ item, at }))
  const unnamed = value.filter(({ id, label }) => id && label?.toLowerCase() === id.toLowerCase()).length
  const many = chosen.size > 0 ? t(`选中的 ${chosen.size} 项`, `${chosen.size} chosen`) : t('全部', 'all')
  return (
    <div className="item-grid" onPaste={pasted} onKeyDown={pressed}>
      <div className="tools" role="toolbar" aria-label={say(t('信息项的办理', 'Work on items'))}>
        <Button size="small" onClick={add}>
          {say(t('增加一行', 'Add a line'))}
        </Button>
        <label>
          {say(many)} · {say(t('公开属性设为', 'openness'))}{' '}
          <select value="" onChange={({ target }) => setAll('openness', target.value)}>
            <option value="" />
            {Object.entries(values['openness']!).map(([name, words]) => (
              <option key={name} value={name}>
                {say(words)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {say(t('必填设为', 'required'))}{' '}
          <select value="" onChange={({ target }) => setAll('required', target.value === 'yes')}>
            <option value="" />
            <option value="yes">{say(t('是', 'yes'))}</option>
            <option value="no">{say(t('否', 'no'))}</option>
          </select>
        </label>
        <Button size="small" disabled={chosen.size === 0} onClick={remove}>
          {say(t('删除选中', 'Remove the chosen'))}
        </Button>
        <Button size="small" disabled={past.current.length === 0} onClick={undo}>
          {say(t('撤销', 'Undo'))}
        </Button>
        <span className="muted">
          {say(
            t(
              `共 ${value.length} 项。可从表格软件粘贴；回车到下一行。`,
              `${value.length} items. Paste from a spreadsheet; Enter goes to the next row.`,
            ),
          )}
          {unnamed > 0 &&
            say(t(`其中 ${unnamed} 项的名称还是标识，请写明含义。`, ` ${unnamed} are still called by their id: name what they mean.`))}
        </span>
      </div>
      {left.length > 0 && (
        <div role="alert">
          <ul className="fault-list">
            {left.slice(0, 10).map(({ row: at, field, text }) => (
              <li key={`${at} ${field.name}`}>
                {say(
                  t(
                    `粘贴的第 ${at} 行：${shortName(field, say)}不认得\u201c${text}\u201d`,
                    `pasted row ${at}: ${shortName(field, say)} is not known: "${text}"`,
                  ),
                )}
              </li>
            ))}
            {left.length > 10 && <li>{say(t(`另有 ${left.length - 10} 处`, `and ${left.length - 10} more`))}</li>}
          </ul>
        </div>
      )}
      <div className="rows" {...(id !== undefined && { id })} role="region" aria-label={say(t('信息项', 'Items'))} tabIndex={0}>
        <table ref={table}>
          <thead>
            <tr>
              <th>
                <Checkbox
                  aria-label={say(t('全选', 'Choose all'))}
                  checked={chosen.size > 0 && chosen.size === value.length}
                  indeterminate={chosen.size > 0 && chosen.size < value.length}
                  onChange={({ target }) => setChosen(new Set(target.checked ? value.keys() : []))}
                />
              </th>
              {fields.map((field) => (
                <th key={field.name}>{shortName(field, say)}</th>
              ))}
              <th>{say(t('字典和校验', 'List and check'))}</th>
            </tr>
          </thead>
          <tbody>
            {numbered.map(({ item, at }) => (
              <ItemRow
                key={at}
                item={item}
                at={at}
                isActive={active?.row === at}
                isChosen={chosen.has(at)}
                row={row}
                {...(item.id && faults[item.id] && { faults: faults[item.id]! })}
              />
            ))}
          </tbody>
        </table>
      </div>
      {listed !== undefined && value[listed] && (
        <ItemLimits
          item={value[listed]}
          close={() => setListed(undefined)}
          keep={(limits) => {
            change(value.map((item, at) => (at === listed ? { ...item, ...limits } : item)))
            setListed(undefined)
          }}
        />
      )}
    </div>
  )
}

interface RowProps {
  item: Draft
  at: number
  isActive: boolean
  isChosen: boolean
  faults?: readonly Text[]
  row: {
    activate: (place: Place) => void
    set: (at: number, field: Field, to: unknown) => void
    choose: (at: number, wanted: boolean) => void
    list: (at: number) => void
    drag: (at: number) => void
    drop: (at: number) => void
  }
}

const ItemRow = memo(function ItemRow({ item, at, isActive, isChosen, faults, row }: RowProps) {
  const { say } = useWords()
  const called = String(item.label ?? item.id ?? at + 1)
  return (
    <tr
      className={isActive ? 'editing' : faults ? 'faulty' : ''}
      title={faults?.map(say).join('\n')}
      onDragOver={(event) => event.preventDefault()}
      onDrop={() => row.drop(at)}
    >
      <td className="handle" draggable onDragStart={() => row.drag(at)}>
        <input
          type="checkbox"
          aria-label={`${say(t('选择', 'Choose'))} ${called}`}
          checked={isChosen}
          onChange={({ target }) => row.choose(at, target.checked)}
        />
        <span className="muted">{at + 1}</span>
        {faults && <span className="problem-sign">✕</span>}
      </td>
      {fields.map((field, column) =>
        isActive ? (
          <td key={field.name} data-column={column}>
            <Cell field={field} value={item[field.name]} set={(to) => row.set(at, field, to)} />
          </td>
        ) : (
          <td key={field.name} onClick={() => row.activate({ row: at, column })}>
            {column === 0 ? (
              <button
                type="button"
                className="plain"
                {...(!item[field.name] && { 'aria-label': `${say(t('填写', 'Edit'))} ${called}` })}
                onFocus={() => row.activate({ row: at, column })}
              >
                {shown(item[field.name], field, say)}
              </button>
            ) : (
              shown(item[field.name], field, say)
            )}
          </td>
        ),
      )}
      <td>
        <button
          type="button"
          className="plain"
          aria-label={`${say(limitsOf(item))} · ${say(t('字典和校验', 'List and check'))} ${called}`}
          onClick={() => row.list(at)}
        >
          {say(limitsOf(item))}
        </button>
      </td>
    </tr>
  )
})

function shown(value: unknown, field: Field, say: ReturnType<typeof useWords>['say']): string {
  if (value === undefined || value === null || value === '' || value === false) return ''
  return field.input === 'yes-no' ? '✓' : valueText(value, field.name, undefined, say)
}

function Cell({ field, value, set }: { field: Field; value: unknown; set: (to: unknown) => void }) {
  const { say } = useWords()
  const label = shortName(field, say)
  if (field.input === 'yes-no')
    return <input type="checkbox" aria-label={label} checked={value === true} onChange={({ target }) => set(target.checked)} />
  if (field.input !== 'choice')
    return <PlainInput label={label} numeric={field.input === 'number'} texts={field.input === 'texts'} value={value} onChange={set} />
  return (
    <select aria-label={label} value={typeof value === 'string' ? value : ''} onChange={({ target }) => set(target.value || undefined)}>
      <option value="" />
      {(field.choices ?? []).map((choice) => (
        <option key={choice} value={choice}>
          {valueText(choice, field.name, undefined, say)}
        </option>
      ))}
    </select>
  )
}
