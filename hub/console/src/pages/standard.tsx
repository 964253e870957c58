/** A data standard 数据标准 is drafted, or its next version: what it fixes for all who adopt it, and its items as a grid. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Checkbox, Form, Input } from 'antd'
import { useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { call } from '../api.ts'
import { entryName } from '../catalog-fields.ts'
import { operations, verbOf } from '../meta.ts'
import { FieldInputs, filledIn } from '../parts/fields-form.tsx'
import { ItemGrid } from '../parts/item-grid.tsx'
import type { Item } from '../parts/items.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { t, useWords } from '../words.tsx'
import '../style/grid.css'

type StandardForm = Record<string, unknown> & { items: (Partial<Item> & { name?: string })[] }

interface Standard {
  code: string
  form: StandardForm | null
  draft: StandardForm | null
  revision: string
}

/** Items and which of them may be left out have inputs of their own. */
const fields = operations['standard.create']!.body!.find(({ name }) => name === 'form')!.fields!.filter(
  ({ name }) => name !== 'items' && name !== 'optional',
)

export default function StandardPage() {
  const { id } = useParams()
  const { data, error, refetch } = useQuery({
    queryKey: ['object', 'standard', id],
    queryFn: ({ signal }) => call<Standard>('standard.read', { at: { id: id! }, signal }),
    enabled: id !== undefined,
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (id !== undefined && !data) return <Waiting />
  return <Editor standard={data} />
}

function Editor({ standard }: { standard: Standard | undefined }) {
  const { say } = useWords()
  const navigate = useNavigate()
  const client = useQueryClient()
  const [form] = Form.useForm<StandardForm & { code: string }>()
  const items = Form.useWatch<StandardForm['items'] | undefined>('items', form) ?? []
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const save = async () => {
    setBusy(true)
    try {
      const { code, ...said } = form.getFieldsValue(true) as StandardForm & { code: string; optional: string[] }
      const items = said.items.filter(({ id, label, type }) => id || label || type).map((item) => ({ ...item, name: item.name || item.id }))
      const ids = new Set(items.map(({ id }) => id))
      const body = { form: { ...filledIn({ ...said, items }), optional: said.optional.filter((one) => ids.has(one)) } }
      const made = standard
        ? await call<Standard>('standard.change', { at: { id: standard.code }, seen: standard.revision, body })
        : await call<Standard>('standard.create', { body: { code, ...body } })
      await client.invalidateQueries()
      void navigate(`/standards/${encodeURIComponent(made.code)}`)
    } catch (refused) {
      setError(refused)
      setBusy(false)
    }
  }
  const begun = standard?.draft ?? standard?.form ?? { licence: false, optional: [], items: [] }
  const choices = items.flatMap(({ id, label, key }) => (id && !key ? [{ value: id, label: label || id }] : []))
  return (
    <>
      <h1>
        <Link to="/standards">{say(t('数据标准', 'Data standards'))}</Link> ·{' '}
        {standard ? `${say(verbOf('standard.change'))} · ${standard.code}` : say(verbOf('standard.create'))}
      </h1>
      <Form className="entry" form={form} layout="vertical" initialValues={begun} onFinish={() => void save()}>
        {!standard && (
          <Form.Item
            name="code"
            label={say(t('标准代码（小写字母、数字、下划线）', 'Code (small letters, digits, underscores)'))}
            rules={[{ required: true, message: say(t('请填写', 'Fill it in')) }]}
          >
            <Input maxLength={44} />
          </Form.Item>
        )}
        <FieldInputs fields={fields} />
        <Form.Item name="items" label={say(entryName('items'))} className="wide">
          <ItemGrid />
        </Form.Item>
        <Form.Item name="optional" label={say(t('采用单位可以不要的信息项', 'Items that an adopter may leave out'))} className="wide">
          <Checkbox.Group options={choices} />
        </Form.Item>
        {error !== undefined && (
          <div className="wide">
            <Failed error={error} />
          </div>
        )}
        <div className="wide">
          <Button type="primary" htmlType="submit" loading={busy}>
            {say(t('保存草稿', 'Save the draft'))}
          </Button>
        </div>
      </Form>
    </>
  )
}
