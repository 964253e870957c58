import { useQuery, useQueryClient } from '@tanstack/react-query'
import { App, Button, Form } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { call } from '../api.ts'
import { entryFields, itemFields } from '../catalog-fields.ts'
import type { Text } from '../meta.ts'
import { Desk } from '../parts/desk.tsx'
import { FieldInputs, filledIn } from '../parts/fields-form.tsx'
import { ItemTable, type Item } from '../parts/items.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Strip } from '../parts/strip.tsx'
import { Facts } from '../parts/value.tsx'
import { t, useWords } from '../words.tsx'

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
  revision: string
  actions: string[]
}

const told = ['resource', 'base', 'standard', 'demand', 'draftedBy', 'draftedAt', 'submittedBy', 'submittedAt', 'reason'] as const

/** A catalog entry that is drafted, checked and published; its fields are those of the catalog. */
export default function RegistrationPage() {
  const { say } = useWords()
  const { message } = App.useApp()
  const { id = '' } = useParams()
  const client = useQueryClient()
  const [problem, setProblem] = useState<unknown>()
  const [form] = Form.useForm<Record<string, unknown>>()
  const { data, error, refetch } = useQuery({
    queryKey: ['object', 'registration', id],
    queryFn: ({ signal }) => call<Registration>('registration.read', { at: { id }, signal }),
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const { content, actions, revision } = data
  const editable = actions.includes('registration.change')
  const save = async (values: Record<string, unknown>) => {
    setProblem(undefined)
    try {
      await call('registration.change', {
        at: { id },
        seen: revision,
        body: { content: filledIn({ ...content, ...values }), replace: true },
      })
      void message.success(say(t('已保存', 'Saved')))
      await client.invalidateQueries()
    } catch (refused) {
      setProblem(refused)
    }
  }
  const items = (content.items ?? []).map((item) => ({ id: '', label: '', type: '', openness: 'internal', ...item }))
  return (
    <>
      <h1>
        <Link to="/registrations">{say(t('目录登记', 'Registrations'))}</Link> · {content.title ?? data.resource} <Strip items={items} />
      </h1>
      <div className="columns">
        <section>
          <Facts line={data} members={told} kind="registration" />
          {editable ? (
            <Form
              key={revision}
              className="entry"
              form={form}
              layout="vertical"
              initialValues={content}
              onFinish={(values) => void save(values)}
            >
              <FieldInputs fields={inOrder} />
              {problem !== undefined && <Failed error={problem} />}
              <Button type="primary" htmlType="submit">
                {say(t('保存', 'Save'))}
              </Button>
            </Form>
          ) : (
            <>
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
          actions={actions.filter((name) => name !== 'registration.change')}
        >
          {data.faults.length > 0 && (
            <>
              <h2>{say(t(`待改 ${data.faults.length} 处`, `To be mended: ${data.faults.length}`))}</h2>
              <ul className="fault-list">
                {data.faults.map((fault) => (
                  <li key={`${fault.field}${fault.item}${fault.zh}`}>
                    <FaultLink fault={fault} jump={(place) => form.scrollToField(place, { focus: true, block: 'center' })} />
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
                    {say(one)} {one.receivers.join('、')}
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

/** What is said of the whole, then the items, then the rest about them. */
const inOrder = [
  ...entryFields.filter(({ input }) => input !== 'rows'),
  ...entryFields.filter(({ name }) => name === 'items'),
  ...entryFields.filter(({ name, input }) => input === 'rows' && name !== 'items'),
]

function FaultLink({ fault, jump }: { fault: Fault; jump: (place: string[]) => void }) {
  const { say } = useWords()
  const field = (fault.item === null ? entryFields : itemFields).find(({ name }) => name === fault.field)
  const place = [fault.item, field && say(field.text)].filter(Boolean).join(' · ')
  return (
    <button type="button" className="plain" onClick={() => jump(fault.item ? ['items'] : [fault.field ?? 'title'])}>
      {place && `${place}: `}
      {say(fault)}
    </button>
  )
}
