/** Inputs for the members of a request, made from its shape. */
import { Button, Checkbox, Form, Input, InputNumber, Select } from 'antd'
import { nameOf, valueText } from '../fields.ts'
import { maskWords, offeredMasks, type Mask } from '../masks.ts'
import type { Field } from '../meta.ts'
import { t, useWords } from '../words.tsx'
import { isPicked, Pick } from './pick.tsx'
import '../style/grid.css'

export interface Choice {
  readonly value: string
  readonly label: string
  /** Of an item: decides how it can be masked. A key cannot be. */
  readonly type?: string
  readonly key?: boolean
}

/** `choices`: what a list of texts may hold, by the member's name. */
export function FieldInputs({
  fields,
  within = [],
  choices = {},
  optional = false,
}: {
  fields: readonly Field[]
  within?: readonly string[]
  choices?: Readonly<Record<string, readonly Choice[]>>
  /** Nothing of a group need be there that may be left out itself. */
  optional?: boolean
}) {
  const { say } = useWords()
  return fields.map((field) =>
    field.name === 'masks' ? (
      <MaskInputs key={field.name} field={field} items={choices['items'] ?? []} />
    ) : field.input === 'rows' ? (
      <RowInputs key={field.name} field={field} within={within} />
    ) : field.input === 'group' ? (
      <fieldset key={field.name}>
        <legend>{shortName(field, say)}</legend>
        <FieldInputs
          fields={field.fields ?? []}
          within={[...within, field.name]}
          choices={choices}
          optional={optional || !field.required}
        />
      </fieldset>
    ) : (
      <OneField
        key={field.name}
        field={optional ? { ...field, required: false } : field}
        within={within}
        {...(choices[field.name] && { choices: choices[field.name]! })}
      />
    ),
  )
}

function OneField({ field, within, choices }: { field: Field; within: readonly string[]; choices?: readonly Choice[] }) {
  const { say } = useWords()
  // A list may be empty, unless the hub says otherwise.
  const rules = field.required && field.input !== 'texts' ? [{ required: true, message: say(t('请填写', 'Fill it in')) }] : []
  const picked = choices === undefined && field.input === 'text' && isPicked(field.name)
  // What is chosen is no code, and what is written here is no search.
  const named = picked || field.name === 'text'
  const [label = '', ...hint] = say(field.text).split(/(?=[\uff0c\uff1b,;(\uff08])/)
  return (
    <Form.Item
      name={[...within, field.name]}
      label={named ? say(nameOf(field.name)) : label}
      extra={named ? undefined : hint.join('').replace(/^[\uff0c\uff1b,;]\s*/, '') || undefined}
      rules={choices ? [] : rules}
      {...(field.input === 'yes-no' && { valuePropName: 'checked' })}
    >
      {picked ? <Pick member={field.name} /> : inputOf(field, choices, say)}
    </Form.Item>
  )
}

function inputOf(field: Field, choices: readonly Choice[] | undefined, say: ReturnType<typeof useWords>['say']) {
  if (choices) return <Checkbox.Group options={[...choices]} />
  switch (field.input) {
    case 'choice':
      return (
        <Select
          allowClear={!field.required}
          options={(field.choices ?? []).map((value) => ({ value, label: valueText(value, field.name, undefined, say) }))}
        />
      )
    case 'choices':
      return (
        <Checkbox.Group options={(field.choices ?? []).map((value) => ({ value, label: valueText(value, field.name, undefined, say) }))} />
      )
    case 'yes-no':
      return <Checkbox />
    case 'number':
      return <InputNumber {...(field.least !== undefined && { min: field.least })} {...(field.most !== undefined && { max: field.most })} />
    case 'day':
      return <Input type="date" />
    case 'texts':
      return <Select mode="tags" tokenSeparators={[',', ' ', '\n', '\uff0c', '\u3001']} open={false} suffixIcon={null} />
    case 'long-text':
      return <Input.TextArea rows={3} maxLength={field.longest} />
    default:
      return <Input maxLength={field.longest} />
  }
}

/** How each of the items is shown, of those that are given where that is chosen too; a key cannot be masked. */
function MaskInputs({ field, items }: { field: Field; items: readonly Choice[] }) {
  const { say } = useWords()
  const chosen = Form.useWatch<readonly string[] | undefined>('items')
  const can = items.filter(({ value, key, type }) => !key && type !== undefined && (chosen?.includes(value) ?? true))
  if (can.length === 0) return null
  return (
    <fieldset>
      <legend>{say(field.text)}</legend>
      {can.map(({ value: id, label, type }) => (
        <Form.Item key={id} name={[field.name, id]} label={label}>
          <MaskSelect label={label} type={type!} />
        </Form.Item>
      ))}
    </fieldset>
  )
}

interface MaskProps {
  id?: string
  label: string
  type: string
  value?: Mask
  onChange?: (mask: Mask | undefined) => void
}

function MaskSelect({ id, label, type, value, onChange }: MaskProps) {
  const { say } = useWords()
  const fitting = offeredMasks.filter(({ types }) => !types || types.includes(type))
  return (
    <Select
      {...(id !== undefined && { id })}
      allowClear
      aria-label={label}
      placeholder={say(t('原样提供', 'as it is'))}
      value={value && JSON.stringify(value)}
      onChange={(text: string | undefined) => onChange?.(text === undefined ? undefined : (JSON.parse(text) as Mask))}
      options={fitting.map(({ mask }) => ({ value: JSON.stringify(mask), label: say(maskWords(mask)) }))}
    />
  )
}

/** Lines of a list, each a row of inputs. */
function RowInputs({ field, within }: { field: Field; within: readonly string[] }) {
  const { say } = useWords()
  const fields = (field.fields ?? []).filter(({ input }) => !['group', 'rows', 'other'].includes(input))
  return (
    <Form.Item label={say(field.text)}>
      <Form.List name={[...within, field.name]}>
        {(rows, { add, remove, move }) => (
          <>
            <div className="rows" id={[...within, field.name].join('_')} role="region" aria-label={say(field.text)} tabIndex={0}>
              <table>
                <thead hidden={rows.length === 0}>
                  <tr>
                    {fields.map((one) => (
                      <th key={one.name}>{shortName(one, say)}</th>
                    ))}
                    <th>{say(t('次序', 'order'))}</th>
                  </tr>
                </thead>
                <tbody>
                  {rows.map(({ key, name }) => (
                    <tr key={key}>
                      {fields.map((one) => (
                        <td key={one.name}>
                          <Form.Item name={[name, one.name]} noStyle {...(one.input === 'yes-no' && { valuePropName: 'checked' })}>
                            {rowInput(one, say)}
                          </Form.Item>
                        </td>
                      ))}
                      <td>
                        <Button size="small" aria-label={say(t('上移', 'up'))} disabled={name === 0} onClick={() => move(name, name - 1)}>
                          ↑
                        </Button>
                        <Button size="small" aria-label={say(t('删除', 'remove'))} onClick={() => remove(name)}>
                          ✕
                        </Button>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            <Button size="small" onClick={() => add({})}>
              {say(t('增加一行', 'Add a line'))}
            </Button>
          </>
        )}
      </Form.List>
    </Form.Item>
  )
}

/** What a field is called, without what is explained of it. */
export function shortName(field: Field, say: ReturnType<typeof useWords>['say']): string {
  return say(field.text).split(/[\uff0c,;\uff1b(\uff08]/)[0]!
}

/** Native inputs: four hundred rows of them stay quick. */
function rowInput(field: Field, say: ReturnType<typeof useWords>['say']) {
  const label = shortName(field, say)
  if (field.input === 'yes-no') return <Checkbox aria-label={label} />
  if (field.input !== 'choice') return <PlainInput label={label} numeric={field.input === 'number'} texts={field.input === 'texts'} />
  return (
    <select aria-label={label}>
      <option value="" />
      {(field.choices ?? []).map((value) => (
        <option key={value} value={value}>
          {valueText(value, field.name, undefined, say)}
        </option>
      ))}
    </select>
  )
}

interface PlainProps {
  label: string
  numeric: boolean
  texts: boolean
  value?: unknown
  onChange?: (value: unknown) => void
}

/** A number is kept as one, a list as one. */
export function PlainInput({ label, numeric, texts, value, onChange }: PlainProps) {
  const shown = Array.isArray(value) ? value.join(',') : typeof value === 'number' ? String(value) : typeof value === 'string' ? value : ''
  const read = (text: string) =>
    numeric ? (text === '' ? undefined : Number(text)) : texts ? text.split(/[,\uff0c]/).filter(Boolean) : text
  return (
    <input
      aria-label={label}
      inputMode={numeric ? 'numeric' : 'text'}
      value={shown}
      onChange={({ target }) => onChange?.(read(target.value))}
    />
  )
}

/** What was filled in, without what was left empty. */
export function filledIn(values: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(values).flatMap(([name, value]): [string, unknown][] => {
    if (typeof value === 'string') return value.trim() === '' ? [] : [[name, value.trim()]]
    if (value === undefined || value === null) return []
    if (Array.isArray(value)) return [[name, value.map((one: unknown) => (isRecord(one) ? filledIn(one) : one))]]
    if (isRecord(value)) {
      const inner = filledIn(value)
      return Object.keys(inner).length > 0 ? [[name, inner]] : []
    }
    return [[name, value]]
  })
  return Object.fromEntries(kept)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
