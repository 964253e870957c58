/** Inputs for the members of a request, made from its shape. */
import { Checkbox, Form, Input, InputNumber, Select } from 'antd'
import { valueText } from '../fields.ts'
import type { Field } from '../meta.ts'
import { t, useWords } from '../words.tsx'

export interface Choice {
  readonly value: string
  readonly label: string
}

/** `choices`: what a list of texts may hold, by the member's name. */
export function FieldInputs({
  fields,
  within = [],
  choices = {},
}: {
  fields: readonly Field[]
  within?: readonly string[]
  choices?: Readonly<Record<string, readonly Choice[]>>
}) {
  return fields.map((field) =>
    field.input === 'group' ? (
      <fieldset key={field.name}>
        <legend>{field.name}</legend>
        <FieldInputs fields={field.fields ?? []} within={[...within, field.name]} choices={choices} />
      </fieldset>
    ) : (
      <OneField key={field.name} field={field} within={within} {...(choices[field.name] && { choices: choices[field.name]! })} />
    ),
  )
}

function OneField({ field, within, choices }: { field: Field; within: readonly string[]; choices?: readonly Choice[] }) {
  const { say } = useWords()
  const rules = field.required ? [{ required: true, message: say(t('请填写', 'Fill it in')) }] : []
  const [label = '', ...hint] = say(field.text).split(/(?=[\uff0c\uff1b,;(\uff08])/)
  return (
    <Form.Item
      name={[...within, field.name]}
      label={label}
      extra={hint.join('').replace(/^[\uff0c\uff1b,;]\s*/, '') || undefined}
      rules={choices ? [] : rules}
      {...(field.input === 'yes-no' && { valuePropName: 'checked' })}
    >
      {inputOf(field, choices, say)}
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
    case 'yes-no':
      return <Checkbox />
    case 'number':
      return <InputNumber {...(field.least !== undefined && { min: field.least })} {...(field.most !== undefined && { max: field.most })} />
    case 'day':
      return <Input type="date" />
    case 'texts':
      return <Select mode="tags" tokenSeparators={[',', ' ']} open={false} suffixIcon={null} />
    case 'long-text':
      return <Input.TextArea rows={3} maxLength={field.longest} />
    default:
      return <Input maxLength={field.longest} />
  }
}

/** What was filled in, without what was left empty. */
export function filledIn(values: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(values).flatMap(([name, value]): [string, unknown][] => {
    if (value === undefined || value === null || value === '') return []
    if (typeof value === 'object' && !Array.isArray(value)) {
      const inner = filledIn(value as Record<string, unknown>)
      return Object.keys(inner).length > 0 ? [[name, inner]] : []
    }
    return [[name, typeof value === 'string' ? value.trim() : value]]
  })
  return Object.fromEntries(kept)
}
