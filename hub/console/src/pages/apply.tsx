import { useQueries, useQuery } from '@tanstack/react-query'
import { Button, Checkbox, Form, Input, Radio, Select } from 'antd'
import { useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { call } from '../api.ts'
import { setBasket, useBasket } from '../basket.ts'
import { valueText } from '../fields.ts'
import { BasketButton } from '../parts/basket-button.tsx'
import type { Item } from '../parts/items.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

interface Wanted {
  /** Of each resource, by its code. */
  items: Record<string, string[]>
  mode: string
  purpose: string
  basis: string
  agent?: string
  until?: string
  atEnd?: string
}

interface Resource {
  agencyName: string
  schema: { title: string; items: Item[] }
  content: { shareModes?: string[] } | null
}

export function ApplyForOne() {
  const { id = '' } = useParams()
  return <ApplyPage key={id} codes={[id]} />
}

/** Several resources with one purpose. */
export function BasketPage() {
  const { say } = useWords()
  const codes = useBasket()
  if (codes.length > 0) return <ApplyPage codes={codes} />
  return (
    <>
      <h1>{say(t('申请篮', 'Basket'))}</h1>
      <p>
        {say(t('申请篮是空的。', 'The basket is empty.'))} <Link to="/catalog">{say(t('到资源目录挑选', 'Choose in the catalog'))}</Link>
      </p>
    </>
  )
}

/** An application 共享申请表 for items of resources: one for each of them; what is closed cannot be ticked (Art. 5). */
function ApplyPage({ codes }: { codes: readonly string[] }) {
  const { say } = useWords()
  const { can } = useSession()
  const navigate = useNavigate()
  const basket = useBasket()
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const [form] = Form.useForm<Wanted>()
  const mode = Form.useWatch('mode', form)
  const resources = useQueries({
    queries: codes.map((id) => ({
      queryKey: ['object', 'resource', id],
      queryFn: ({ signal }: { signal: AbortSignal }) => call<Resource>('resource.read', { at: { id }, signal }),
    })),
  })
  const agents = useQuery({
    queryKey: ['list', 'agent.list'],
    queryFn: () =>
      call<{ items: { id: string; name: string; state: string }[] }>('agent.list', { query: { state: 'active', limit: '1000' } }),
    enabled: can('agent.list'),
  })
  const failed = resources.find((one) => one.error)
  if (failed) return <Failed error={failed.error} again={() => void failed.refetch()} />
  const found = resources.flatMap(({ data }) => data ?? [])
  if (found.length < codes.length) return <Waiting />
  const modes = sharedModes(found)
  const submit = async ({ items, until, agent, ...wanted }: Wanted) => {
    setBusy(true)
    setError(undefined)
    try {
      const asked = codes.map((code) => ({ code, items: items[code] ?? [] }))
      const body = { resources: asked, ...wanted, ...(until && { until }), ...(agent && { agent }) }
      const made = await call<{ items: { id: string }[] }>('application.create-many', { body })
      setBasket(basket.filter((code) => !codes.includes(code)))
      void navigate(made.items.length === 1 ? `/applications/${made.items[0]!.id}` : '/applications')
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const required = { required: true, message: say(t('请填写', 'Fill it in')) }
  return (
    <>
      <h1>
        {codes.length === 1
          ? `${say(t('申请共享', 'Apply for'))} · ${found[0]!.schema.title}`
          : say(t(`申请篮 · ${codes.length} 个资源`, `Basket · ${codes.length} resources`))}
      </h1>
      <Form<Wanted>
        form={form}
        layout="vertical"
        style={{ maxWidth: 720 }}
        initialValues={{ mode: modes[0], atEnd: 'keep' }}
        onFinish={(values) => void submit(values)}
      >
        {found.map((resource, at) => (
          <ItemChoice key={codes[at]} code={codes[at]!} resource={resource} among={codes.length > 1} />
        ))}
        <Form.Item name="mode" label={say(t('共享方式', 'Share mode'))} rules={[required]} required={false}>
          <Radio.Group options={modes.map((value) => ({ value, label: valueText(value, 'mode', undefined, say) }))} />
        </Form.Item>
        <Form.Item name="purpose" label={say(t('用途', 'Purpose'))} rules={[required]}>
          <Input.TextArea rows={2} maxLength={2000} />
        </Form.Item>
        <Form.Item name="basis" label={say(t('依据', 'Legal basis'))} rules={[required]}>
          <Input.TextArea rows={2} maxLength={2000} />
        </Form.Item>
        {mode === 'exchange' && (agents.data?.items.length ?? 0) > 1 && (
          <Form.Item name="agent" label={say(t('接收的前置机', 'Machine that receives'))} rules={[required]}>
            <Select
              options={agents
                .data!.items.filter(({ state }) => state === 'active')
                .map(({ id, name }) => ({ value: id, label: name || id }))}
            />
          </Form.Item>
        )}
        <Form.Item name="until" label={say(t('截止日期（可不填）', 'Until (may be left out)'))}>
          <Input type="date" style={{ width: 180 }} />
        </Form.Item>
        {mode === 'exchange' && (
          <Form.Item name="atEnd" label={say(t('终止时已交付的数据', 'Delivered data at the end'))}>
            <Radio.Group options={['keep', 'remove'].map((value) => ({ value, label: valueText(value, 'atEnd', undefined, say) }))} />
          </Form.Item>
        )}
        {error !== undefined && <Failed error={error} />}
        <Button type="primary" htmlType="submit" loading={busy}>
          {say(t('提交', 'Submit'))}
        </Button>
      </Form>
    </>
  )
}

/** What is offered for all of them: where there is none the hub says of each why not. */
function sharedModes(resources: readonly Resource[]): string[] {
  const each = resources.map(({ content }) => content?.shareModes ?? ['exchange'])
  const common = each[0]!.filter((mode) => each.every((modes) => modes.includes(mode)))
  return common.length > 0 ? common : [...new Set(each.flat())]
}

/** `among` others: each is named, and can be taken out. */
function ItemChoice({ code, resource: { agencyName, schema }, among }: { code: string; resource: Resource; among: boolean }) {
  const { say } = useWords()
  const form = Form.useFormInstance<Wanted>()
  const open = schema.items.filter(({ openness }) => openness !== 'closed')
  const label = among ? `${schema.title} · ${agencyName}` : say(t('信息项', 'Items'))
  return (
    <>
      <Form.Item
        name={['items', code]}
        label={label}
        rules={[{ required: true, message: say(t('请填写', 'Fill it in')) }]}
        required={false}
      >
        <Checkbox.Group
          options={schema.items.map((item) => ({
            value: item.id,
            label: item.openness === 'closed' ? `${item.label} ✕ ${say(t('不公开（第五条）', 'closed (Art. 5)'))}` : item.label,
            disabled: item.openness === 'closed',
          }))}
        />
      </Form.Item>
      <p className="actions">
        <Button
          size="small"
          onClick={() =>
            form.setFieldValue(
              ['items', code],
              open.map((item) => item.id),
            )
          }
        >
          {say(t('全部可选', 'All that may be had'))}
        </Button>
        {among && <BasketButton code={code} small />}
      </p>
    </>
  )
}
