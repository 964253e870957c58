import { useQuery } from '@tanstack/react-query'
import { Button, Checkbox, Form, Input, Radio, Select } from 'antd'
import { useState } from 'react'
import { useNavigate, useParams } from 'react-router'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import type { Item } from '../parts/items.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

interface Wanted {
  items: string[]
  mode: string
  purpose: string
  basis: string
  agent?: string
  until?: string
  atEnd?: string
}

/** An application 共享申请表 for items of one resource: what is closed cannot be ticked (Art. 5). */
export default function ApplyPage() {
  const { say } = useWords()
  const { id = '' } = useParams()
  const { can } = useSession()
  const navigate = useNavigate()
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const [form] = Form.useForm<Wanted>()
  const mode = Form.useWatch('mode', form)
  const resource = useQuery({
    queryKey: ['object', 'resource', id],
    queryFn: ({ signal }) =>
      call<{ schema: { title: string; items: Item[] }; content: { shareModes?: string[] } | null }>('resource.read', {
        at: { id },
        signal,
      }),
  })
  const agents = useQuery({
    queryKey: ['list', 'agent.list'],
    queryFn: () =>
      call<{ items: { id: string; name: string; state: string }[] }>('agent.list', { query: { state: 'active', limit: '1000' } }),
    enabled: can('agent.list'),
  })
  if (resource.error) return <Failed error={resource.error} again={() => void resource.refetch()} />
  if (!resource.data) return <Waiting />
  const { title, items } = resource.data.schema
  const modes = resource.data.content?.shareModes ?? ['exchange']
  const submit = async ({ until, agent, ...wanted }: Wanted) => {
    setBusy(true)
    setError(undefined)
    try {
      const body = { resource: id, ...wanted, ...(until && { until }), ...(agent && { agent }) }
      const draft = await call<{ id: string; revision: string }>('application.create', { body })
      await call('application.submit', { at: { id: draft.id } })
      void navigate(`/applications/${draft.id}`)
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const open = items.filter(({ openness }) => openness !== 'closed')
  const required = { required: true, message: say(t('请填写', 'Fill it in')) }
  return (
    <>
      <h1>
        {say(t('申请共享', 'Apply for'))} · {title}
      </h1>
      <Form<Wanted>
        form={form}
        layout="vertical"
        style={{ maxWidth: 720 }}
        initialValues={{ mode: modes[0], atEnd: 'keep' }}
        onFinish={(values) => void submit(values)}
      >
        <Form.Item name="items" label={say(t('信息项', 'Items'))} rules={[required]} required={false}>
          <Checkbox.Group
            options={items.map((item) => ({
              value: item.id,
              label: item.openness === 'closed' ? `${item.label} ✕ ${say(t('不公开（第五条）', 'closed (Art. 5)'))}` : item.label,
              disabled: item.openness === 'closed',
            }))}
          />
        </Form.Item>
        <Button
          size="small"
          onClick={() =>
            form.setFieldValue(
              'items',
              open.map((item) => item.id),
            )
          }
        >
          {say(t('全部可选', 'All that may be had'))}
        </Button>
        <Form.Item name="mode" label={say(t('共享方式', 'Share mode'))}>
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
