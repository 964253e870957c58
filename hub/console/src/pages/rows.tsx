import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { App, Button, Form, Input, Modal, Select, Table } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { addressOf, call, send } from '../api.ts'
import { comma } from '../fields.ts'
import type { Text } from '../meta.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { t, useWords } from '../words.tsx'

interface FormItem {
  id: string
  label: string
  type: string
  key: boolean
  required: boolean
  length: number | null
  dictionary: { value: string; label?: string }[]
  description: string | null
  example: string | null
}

interface FormOf {
  title: string
  closed: Text | null
  items: FormItem[]
}

type Values = Record<string, string | null>
interface Row {
  values: Values
  position: string
}

/** Rows that the provider's own people enter 在线填报: list, new, corrected, deleted; who was faster is told to the other. */
export default function RowsPage() {
  const { say } = useWords()
  const { id = '' } = useParams()
  const client = useQueryClient()
  const [editing, setEditing] = useState<Row | 'new'>()
  const form = useQuery({ queryKey: ['form', id], queryFn: ({ signal }) => call<FormOf>('form.read', { at: { id }, signal }) })
  const rows = useInfiniteQuery({
    queryKey: ['rows', id],
    queryFn: ({ pageParam, signal }) => {
      const query = { limit: '50', count: 'exact', ...(pageParam !== undefined && { after: pageParam }) }
      return send<{ items: Row[]; next: string | null; count: { rows: number } | null }>(
        'GET',
        addressOf('row.list', { at: { id }, query }),
        { signal },
      )
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  })
  if (form.error) return <Failed error={form.error} again={() => void form.refetch()} />
  if (rows.error) return <Failed error={rows.error} again={() => void rows.refetch()} />
  if (!form.data || !rows.data) return <Waiting />
  const { title, items, closed } = form.data
  const done = () => {
    setEditing(undefined)
    void client.invalidateQueries({ queryKey: ['rows', id] })
  }
  return (
    <>
      <h1>
        {say(t('在线填报', 'Entering rows'))} · <Link to={`/resources/${encodeURIComponent(id)}`}>{title}</Link>
      </h1>
      {closed && <p className="problem">{say(closed)}</p>}
      <div className="filters">
        <Button type="primary" disabled={closed !== null} onClick={() => setEditing('new')}>
          {say(t('新增一行', 'New row'))}
        </Button>
        <span className="muted number">
          {rows.data.pages[0]!.count?.rows ?? 0} {say(t('行', 'rows'))}
        </span>
      </div>
      <Table<Row>
        size="small"
        rowKey={({ values }) => JSON.stringify(items.filter(({ key }) => key).map((item) => values[item.id]))}
        dataSource={rows.data.pages.flatMap((page) => page.items)}
        pagination={false}
        scroll={{ x: 'max-content' }}
        columns={[
          {
            title: say(t('办理', 'edit')),
            key: 'edit',
            render: (_, row) => (
              <Button size="small" disabled={closed !== null} onClick={() => setEditing(row)}>
                {say(t('修改', 'Edit'))}
              </Button>
            ),
          },
          ...items.map((item) => ({
            title: item.key ? `${item.label} *` : item.label,
            key: item.id,
            render: (_: unknown, { values }: Row) => values[item.id] ?? <span className="muted">∅</span>,
          })),
        ]}
      />
      {rows.hasNextPage && <Button onClick={() => void rows.fetchNextPage()}>{say(t('更多', 'More'))}</Button>}
      {editing && (
        <RowDialog
          resource={id}
          items={items}
          row={editing === 'new' ? undefined : editing}
          close={() => setEditing(undefined)}
          done={done}
        />
      )}
    </>
  )
}

interface DialogProps {
  resource: string
  items: readonly FormItem[]
  /** Undefined where it is a new one. */
  row: Row | undefined
  close: () => void
  done: () => void
}

function RowDialog({ resource, items, row, close, done }: DialogProps) {
  const { say } = useWords()
  const { message, modal } = App.useApp()
  const [form] = Form.useForm<Record<string, string | undefined>>()
  const [error, setError] = useState<unknown>()
  const at = { id: resource }
  const finish = async (work: Promise<{ warnings?: Text[] }>) => {
    try {
      const { warnings = [] } = await work
      void message.success(say(t('已保存', 'Saved')))
      for (const warning of warnings) void message.warning(say(warning))
      done()
    } catch (refused) {
      setError(refused)
    }
  }
  const save = (typed: Record<string, string | undefined>) => {
    const values = Object.fromEntries(
      items.map((item) => [item.id, typed[item.id] === undefined || typed[item.id] === '' ? null : typed[item.id]!]),
    )
    return finish(row ? call('row.change', { at, body: { values, seen: row.position } }) : call('row.create', { at, body: { values } }))
  }
  const remove = () => {
    const key = Object.fromEntries(items.filter((item) => item.key).map((item) => [item.id, row!.values[item.id]!]))
    modal.confirm({
      title: say(t('删除这一行？', 'Delete this row?')),
      content: Object.values(key).join(say(comma)),
      okText: say(t('删除', 'Delete')),
      okButtonProps: { danger: true },
      cancelText: say(t('返回', 'Back')),
      onOk: () => finish(call('row.delete', { at, body: { key, seen: row!.position } })),
    })
  }
  const initial = Object.fromEntries(items.map((item) => [item.id, row?.values[item.id] ?? undefined]))
  return (
    <Modal
      open
      title={say(row ? t('修改', 'Edit') : t('新增一行', 'New row'))}
      onCancel={close}
      onOk={form.submit}
      okText={say(t('保存', 'Save'))}
      cancelText={say(t('返回', 'Back'))}
      footer={(buttons) => (
        <>
          {row && (
            <Button danger onClick={remove}>
              {say(t('删除', 'Delete'))}
            </Button>
          )}
          {buttons}
        </>
      )}
    >
      {error !== undefined && <Failed error={error} />}
      <Form form={form} layout="vertical" initialValues={initial} onFinish={(typed) => void save(typed)}>
        {items.map((item) => (
          <Form.Item
            key={item.id}
            name={item.id}
            label={item.label}
            extra={
              [item.description, item.example && say(t(`如 ${item.example}`, `such as ${item.example}`))].filter(Boolean).join(' ') ||
              undefined
            }
            rules={item.required || item.key ? [{ required: true, message: say(t('请填写', 'Fill it in')) }] : []}
          >
            {inputFor(item, row !== undefined, say)}
          </Form.Item>
        ))}
      </Form>
    </Modal>
  )
}

/** Values are typed as they travel: texts, of which the hub says what is wrong with them. */
function inputFor(item: FormItem, exists: boolean, say: ReturnType<typeof useWords>['say']) {
  if (item.type === 'boolean') {
    const options = [
      { value: 'true', label: say(t('是', 'yes')) },
      { value: 'false', label: say(t('否', 'no')) },
    ]
    return <Select allowClear options={options} />
  }
  if (item.dictionary.length > 0) {
    const options = item.dictionary.map(({ value, label }) => ({ value, label: label ? `${value} ${label}` : value }))
    return <Select allowClear showSearch={{ optionFilterProp: 'label' }} options={options} />
  }
  if (item.type === 'date') return <Input type="date" disabled={exists && item.key} />
  return <Input {...(item.length !== null && { maxLength: item.length })} disabled={exists && item.key} />
}
