import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Form } from 'antd'
import { useMemo, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { Link, useLocation, useParams } from 'react-router'
import { call } from '../api.ts'
import { comma } from '../fields.ts'
import { useAutosave, type Autosave } from '../autosave.ts'
import { entryFields, entryName, itemFields } from '../catalog-fields.ts'
import type { Text } from '../meta.ts'
import { Desk } from '../parts/desk.tsx'
import { DiffTable, type Diff } from '../parts/diff.tsx'
import { FieldInputs, filledIn } from '../parts/fields-form.tsx'
import { ItemGrid, type At } from '../parts/item-grid.tsx'
import { ItemTable, type Item } from '../parts/items.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Strip } from '../parts/strip.tsx'
import { Facts } from '../parts/value.tsx'
import { t, timeText, useWords } from '../words.tsx'
import type { Proposed } from './register.tsx'

interface Fault extends Text {
  field: string | null
  item: string | null
}

interface Registration {
  [member: string]: unknown
  id: string
  resource: string
  state: string
  content: Record<string, unknown> & { title?: string; items?: Partial<Item>[] }
  faults: Fault[]
  incompatible: (Text & { receivers: string[] })[]
  /** From the version in force. */
  changes: Diff
  base: number | null
  revision: string
  actions: string[]
}

const told = ['resource', 'base', 'standard', 'demand', 'draftedBy', 'draftedAt', 'submittedBy', 'submittedAt', 'reason'] as const

/** A catalog entry that is drafted, checked and published; its fields are those of the catalog. */
export default function RegistrationPage() {
  const { say } = useWords()
  const { id = '' } = useParams()
  const client = useQueryClient()
  // The revision that what is typed stands on.
  const seen = useRef<string>(undefined)
  const [form] = Form.useForm<Record<string, unknown>>()
  const [at, setAt] = useState<At>()
  const [more, setMore] = useState<boolean>()
  const { data, error, refetch } = useQuery({
    queryKey: ['object', 'registration', id],
    queryFn: ({ signal }) => call<Registration>('registration.read', { at: { id }, signal }),
  })
  // The same lists as long as nothing else is wrong, so that rows of the grid stay as they are.
  const wrong = useMemo(() => faultsByItem(data?.faults ?? []), [data?.faults])
  const autosave = useAutosave(async () => {
    const content = filledIn(withColumns({ ...data!.content, ...form.getFieldsValue(true) }))
    const saved = await call<Registration>('registration.change', { at: { id }, seen: seen.current, body: { content, replace: true } })
    seen.current = saved.revision
    await client.invalidateQueries({ queryKey: ['object', 'registration', id] })
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  seen.current ??= data.revision
  const { content, actions } = data
  const editable = actions.includes('registration.change')
  const takeTheirs = async () => {
    const { data } = await refetch()
    seen.current = data?.revision
    autosave.drop()
    form.setFieldsValue(Object.fromEntries(entryFields.map(({ name }) => [name, data?.content[name]])))
  }
  /** To the field that is wrong: of an item in the grid, where it has one. */
  const jump = ({ item, field }: Fault) => {
    if (field === 'exceptions' && item !== null) return claim(item)
    if (item !== null) return setAt({ item, field })
    if (ofFew.some(({ name }) => name === field)) flushSync(() => setMore(true))
    form.scrollToField([field ?? 'title'], { focus: true, block: 'center' })
  }
  /** An exception is begun for the item, unless it is there. */
  const claim = (item: string) => {
    const begun = (form.getFieldValue('exceptions') ?? []) as { item?: string }[]
    if (!begun.some((one) => one.item === item)) {
      flushSync(() => form.setFieldValue('exceptions', [...begun, { item }]))
      autosave.touch()
    }
    form.scrollToField(['exceptions'], { focus: true, block: 'center' })
  }
  const wrongOfFew = data.faults.some(({ item, field }) => item === null && ofFew.some(({ name }) => name === field))
  const items = (content.items ?? []).map((item) => ({ id: '', label: '', type: '', openness: 'internal', ...item }))
  return (
    <>
      <h1>
        <Link to="/registrations">{say(t('目录登记', 'Registrations'))}</Link> · {content.title ?? data.resource} <Strip items={items} />
      </h1>
      <div className="columns wide-left">
        <section>
          <Facts line={data} members={told} kind="registration" />
          <FromTable id={id} />
          {data.base !== null && (
            <>
              <h2>{say(t('与现行版本的差异', 'Differences from the version in force'))}</h2>
              <DiffTable diff={data.changes} labels={new Map(items.map((item) => [item.id, item.label]))} />
            </>
          )}
          {editable ? (
            <Form
              className="entry"
              form={form}
              layout="vertical"
              initialValues={content}
              onValuesChange={autosave.touch}
              onFinish={() => void autosave.flush()}
              onFinishFailed={() => void autosave.flush()}
            >
              <FieldInputs fields={ofTheWhole} />
              <Form.Item name="items" label={say(entryName('items'))} className="wide">
                <ItemGrid faults={wrong} at={at} />
              </Form.Item>
              <FieldInputs fields={ofItems} />
              <details className="wide more-fields" open={more ?? wrongOfFew} onToggle={({ currentTarget }) => setMore(currentTarget.open)}>
                <summary>
                  {say(
                    t(
                      '更多登记内容（可不填）：关键字、联系人、时间范围、开放条件、表名等',
                      'More, which may be left out: keywords, contact, temporal coverage, conditions of opening, table and so on',
                    ),
                  )}
                </summary>
                <div className="entry">
                  <FieldInputs fields={ofFew} />
                </div>
              </details>
              {autosave.state === 'refused' && (
                <div className="wide">
                  <Failed error={autosave.problem} />
                  <Button onClick={() => void takeTheirs()}>
                    {say(t('放弃我的修改，载入最新内容', 'Give up my changes, load what stands'))}
                  </Button>
                </div>
              )}
              <div className="wide">
                <Button type="primary" htmlType="submit" loading={autosave.state === 'saving'}>
                  {say(t('保存', 'Save'))}
                </Button>{' '}
                <span className="muted" role="status">
                  {say(savedText(autosave))}
                </span>
              </div>
            </Form>
          ) : (
            <>
              <h2>{say(t('登记内容', 'The entry'))}</h2>
              <Facts line={content} members={Object.keys(content).filter((name) => name !== 'items')} />
              <h2>{say(t('信息项', 'Items'))}</h2>
              <ItemTable items={items} />
            </>
          )}
        </section>
        <Desk
          key={id}
          kind="registration"
          id={id}
          title={content.title ?? data.resource}
          read={data}
          before={autosave.flush}
          hints={toBeMended(data.faults.length)}
          actions={actions.filter((name) => name !== 'registration.change')}
        >
          {data.faults.length > 0 && (
            <>
              <h2>{say(t(`待改 ${data.faults.length} 处`, `To be mended: ${data.faults.length}`))}</h2>
              <ul className="fault-list">
                {data.faults.map((fault) => (
                  <li key={`${fault.field}${fault.item}${fault.zh}`}>
                    <FaultLink fault={fault} called={items.find(({ id }) => id === fault.item)?.label} jump={jump} />
                  </li>
                ))}
              </ul>
            </>
          )}
          {data.incompatible.length > 0 && (
            <>
              <h2>{say(t('与接收方不兼容', 'Receivers that it holds'))}</h2>
              <ul className="fault-list">
                {data.incompatible.map((one) => (
                  <li key={one.zh}>
                    {say(one)} {one.receivers.join(say(comma))}
                  </li>
                ))}
              </ul>
            </>
          )}
        </Desk>
      </div>
    </>
  )
}

/** What the table that it was drafted from held back, and what is to be known of it: said once, where one comes from there. */
function FromTable({ id }: { id: string }) {
  const { say } = useWords()
  const { state } = useLocation()
  const drafted = state as (Proposed & { registration: { id: string } }) | null
  if (drafted?.registration?.id !== id || drafted.left.length + drafted.notes.length === 0) return null
  return (
    <Alert
      type="info"
      title={say(t('由表生成的草稿：请核对', 'Drafted from the table: look at this'))}
      description={
        <ul className="fault-list plain-words">
          {drafted.left.map(({ column, native }) => (
            <li key={column}>
              {say(
                t(
                  `列 ${column}（${native}）没有不损失内容的对应类型，未列为信息项`,
                  `column ${column} (${native}) has no type that keeps all of it: it is no item`,
                ),
              )}
            </li>
          ))}
          {drafted.notes.map((note) => (
            <li key={note.en}>{say(note)}</li>
          ))}
        </ul>
      }
    />
  )
}

/** What is said of the whole, then the items, then the rest about them, and what few need. */
const first = ['title', 'classification', 'abstract', 'subject', 'licence', 'sharing', 'cycle', 'sharingConditions', 'shareModes', 'supplyMode', 'secrecy'] // prettier-ignore
const ofTheWhole = first.flatMap((name) => entryFields.filter((field) => field.name === name))
const ofFew = entryFields.filter(({ name, input }) => input !== 'rows' && !first.includes(name))
const ofItems = entryFields.filter(({ name, input }) => input === 'rows' && name !== 'items')

/** A column is called as its item, where nothing else was said. */
function withColumns(content: Record<string, unknown>): Record<string, unknown> {
  const items = (content['items'] ?? []) as { id?: string; name?: string }[]
  return { ...content, items: items.map((item) => (item.id && !item.name ? { ...item, name: item.id } : item)) }
}

function toBeMended(count: number): Record<string, Text> {
  if (count === 0) return {}
  const text = t(
    `还有 ${count} 处待改（见右侧列表，点击可跳到该处）：改完才能提交`,
    `${count} to be mended first: they are listed at the right, and a click leads to each`,
  )
  return { 'registration.submit': text }
}

function faultsByItem(faults: readonly Fault[]): Record<string, Fault[]> {
  const found: Record<string, Fault[]> = {}
  for (const fault of faults) if (fault.item !== null) (found[fault.item] ??= []).push(fault)
  return found
}

function savedText({ state, at }: Autosave): Text {
  if (state === 'saving') return t('正在保存', 'Saving')
  if (state === 'changed') return t('有未保存的修改', 'There are changes that are not saved')
  if (state === 'refused' || !at) return t('', '')
  const time = timeText(at.toISOString()).slice(11)
  return t(`已保存 ${time}`, `Saved ${time}`)
}

function FaultLink({ fault, called, jump }: { fault: Fault; called: string | undefined; jump: (fault: Fault) => void }) {
  const { say } = useWords()
  const field = (fault.item === null ? entryFields : itemFields).find(({ name }) => name === fault.field)
  const place = [called || fault.item, field && say(field.text)].filter(Boolean).join(' · ')
  return (
    <button type="button" className="plain" onClick={() => jump(fault)}>
      {/* What is missing is called by its name already. */}
      {place && !say(fault).startsWith(place) && place + say(t('：', ': '))}
      {say(fault)}
    </button>
  )
}
