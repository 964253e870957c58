import { useMutation, useQuery } from '@tanstack/react-query'
import { App, Button, Form, Input, Select, Table } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { addressOf, call, send } from '../api.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'

interface Listed {
  resource: string
  title: string
  agencyName: string
  purpose: string | null
  ready: boolean
}

interface QueryItem {
  id: string
  label: string
  type: string
  key: boolean
  operators: string[]
}

type Row = Record<string, string | null>

interface Rows {
  items: Row[]
  next: string | null
  count: { rows: number; exact?: boolean } | null
  source: Record<string, unknown>
}

/** Rows of what one's agency was granted; what for is said once a session. */
export default function QueryPage() {
  const { say } = useWords()
  const { resource } = useParams()
  const { data, error, refetch } = useQuery({ queryKey: ['queries'], queryFn: () => call<{ items: Listed[] }>('query.list') })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const chosen = data.items.find((one) => one.resource === resource)
  if (chosen) return <QueryOf key={chosen.resource} listed={chosen} />
  return (
    <>
      <h1>{say(t('数据查询', 'Query'))}</h1>
      {data.items.length === 0 && (
        <p>
          {say(t('本单位还没有可查询的授权。', 'Your agency has no grant to query yet.'))}{' '}
          <Link to="/catalog">{say(t('到资源目录申请', 'Apply for one in the catalog'))}</Link>
        </p>
      )}
      {data.items.map((one) => (
        <p key={one.resource}>
          {one.ready ? <Link to={`/queries/${encodeURIComponent(one.resource)}`}>{one.title}</Link> : one.title}{' '}
          <span className="muted">
            {one.agencyName} {one.ready ? '' : say(t('（正在准备，或仅转发不存储）', '(being made ready, or relayed and not stored)'))}
          </span>
        </p>
      ))}
    </>
  )
}

function QueryOf({ listed }: { listed: Listed }) {
  const { say } = useWords()
  const said = useMutation({
    mutationFn: (purpose: string) =>
      call<{ items: QueryItem[] }>('query.purpose', { at: { resource: listed.resource }, body: { purpose } }),
  })
  return (
    <>
      <h1>
        <Link to="/queries">{say(t('数据查询', 'Query'))}</Link> · {listed.title} <span className="muted">{listed.agencyName}</span>
      </h1>
      {said.data ? (
        <Filtered resource={listed.resource} items={said.data.items} />
      ) : (
        <Form<{ purpose: string }>
          layout="inline"
          initialValues={{ purpose: listed.purpose ?? '' }}
          onFinish={({ purpose }) => said.mutate(purpose.trim())}
        >
          <Form.Item
            name="purpose"
            label={say(t('查询用途', 'What for'))}
            rules={[{ required: true, message: say(t('请说明用途，记入审计', 'Say what for: it goes on record')) }]}
          >
            <Input style={{ width: 360 }} maxLength={500} autoFocus />
          </Form.Item>
          <Button type="primary" htmlType="submit" loading={said.isPending}>
            {say(t('开始查询', 'Begin'))}
          </Button>
        </Form>
      )}
      {said.error && <Failed error={said.error} />}
    </>
  )
}

const operatorWords: Readonly<Record<string, { zh: string; en: string }>> = {
  eq: t('等于', 'equals'),
  ne: t('不等于', 'is not'),
  lt: t('小于', 'less than'),
  le: t('不大于', 'at most'),
  gt: t('大于', 'more than'),
  ge: t('不小于', 'at least'),
  like: t('形如（* 代表任意）', 'like (* for any)'),
  in: t('其中之一（逗号分隔）', 'one of (by commas)'),
  null: t('为空（true/false）', 'is empty (true/false)'),
}

interface Condition {
  item?: string
  operator?: string
  value?: string
}

function Filtered({ resource, items }: { resource: string; items: readonly QueryItem[] }) {
  const { say, language } = useWords()
  const [conditions, setConditions] = useState<Record<string, string>>({})
  const [after, setAfter] = useState<string>()
  const [reported, setReported] = useState<Row>()
  const { message } = App.useApp()
  const { can } = useSession()
  const searchable = items.filter(({ operators }) => operators.length > 0)
  const [form] = Form.useForm<{ conditions: Condition[] }>()
  const filled = Form.useWatch('conditions', form) ?? []
  const keys = items.filter(({ key }) => key)
  const reports = can('correction.create') && keys.length > 0
  const asked = { ...conditions, limit: '50', count: 'estimated', ...(after && { after }) }
  const { data, error, isFetching } = useQuery({
    queryKey: ['query', resource, asked],
    queryFn: ({ signal }) => send<Rows>('GET', addressOf('query.run', { at: { resource }, query: asked }), { signal }),
    placeholderData: (before) => before,
  })
  const apply = (values: { conditions?: Condition[] }) => {
    const given = (values.conditions ?? []).filter(({ item, value }) => item && value)
    setAfter(undefined)
    setConditions(
      Object.fromEntries(given.map(({ item, operator = 'eq', value }) => [operator === 'eq' ? item! : `${item}.${operator}`, value!])),
    )
  }
  return (
    <>
      <Form form={form} onFinish={apply}>
        <Form.List name="conditions">
          {(rows, { add, remove }) => (
            <div className="filters">
              {rows.map(({ key, name }) => (
                <span key={key} className="filters">
                  <Form.Item name={[name, 'item']} noStyle>
                    <Select
                      aria-label={say(t('信息项', 'item'))}
                      style={{ width: 160 }}
                      options={searchable.map(({ id, label }) => ({ value: id, label }))}
                    />
                  </Form.Item>
                  <Form.Item name={[name, 'operator']} noStyle initialValue="eq">
                    <Select
                      aria-label={say(t('比较', 'comparison'))}
                      style={{ width: 150 }}
                      options={(searchable.find(({ id }) => id === filled[name]?.item)?.operators ?? ['eq']).map((value) => ({
                        value,
                        label: operatorWords[value] ? say(operatorWords[value]) : value,
                      }))}
                    />
                  </Form.Item>
                  <Form.Item name={[name, 'value']} noStyle>
                    <Input aria-label={say(t('值', 'value'))} style={{ width: 180 }} />
                  </Form.Item>
                  <Button size="small" aria-label={say(t('去掉', 'remove'))} onClick={() => remove(name)}>
                    ✕
                  </Button>
                </span>
              ))}
              {searchable.length > 0 && <Button onClick={() => add()}>{say(t('加条件', 'Add a condition'))}</Button>}
              <Button type="primary" htmlType="submit" loading={isFetching}>
                {say(t('查询', 'Find'))}
              </Button>
              {(['csv', 'xlsx'] as const).map((format) => (
                <a key={format} href={addressOf('query.export', { at: { resource }, query: { ...conditions, format, language } })}>
                  {say(format === 'csv' ? t('导出 CSV', 'Export CSV') : t('导出 Excel', 'Export Excel'))}
                </a>
              ))}
            </div>
          )}
        </Form.List>
      </Form>
      {error && <Failed error={error} />}
      {reported && (
        <ActionDialog
          name="correction.create"
          title={keys.map(({ id }) => reported[id] ?? '').join(' · ')}
          fixed={{ resource, key: Object.fromEntries(keys.map(({ id }) => [id, reported[id] ?? ''])) }}
          choices={{ items: items.map(({ id, label }) => ({ value: id, label })) }}
          close={() => setReported(undefined)}
          done={({ id }: { id: string }) => {
            setReported(undefined)
            void message.success(<Link to={`/corrections/${id}`}>{say(t(`更正 ${id} 已提交`, `correction ${id} is on its way`))}</Link>)
          }}
        />
      )}
      {data && (
        <>
          <Table<Row>
            size="small"
            rowKey={(row) => keys.map(({ id }) => row[id]).join('\u0000')}
            dataSource={data.items}
            pagination={false}
            scroll={{ x: 'max-content' }}
            columns={[
              ...items.map(({ id, label }) => ({
                title: label,
                key: id,
                render: (_: unknown, row: Row) => row[id] ?? <span className="muted">∅</span>,
              })),
              ...(reports
                ? [
                    {
                      title: say(t('办理', 'acts')),
                      key: 'acts',
                      render: (_: unknown, row: Row) => (
                        <Button size="small" onClick={() => setReported(row)}>
                          {say(t('报告有误', 'Report it'))}
                        </Button>
                      ),
                    },
                  ]
                : []),
            ]}
          />
          <p className="actions">
            {data.count && <span className="muted number">{say(t(`约 ${data.count.rows} 行`, `about ${data.count.rows} rows`))}</span>}
            {after && <Button onClick={() => setAfter(undefined)}>{say(t('第一页', 'First page'))}</Button>}
            {data.next && <Button onClick={() => setAfter(data.next!)}>{say(t('下一页', 'Next page'))}</Button>}
          </p>
          <p className="muted">
            {say(t('数据来源：', 'Source: '))}
            {Object.entries(data.source)
              .map(([, value]) => sourceText(value))
              .filter(Boolean)
              .join(' · ')}
          </p>
        </>
      )}
    </>
  )
}

function sourceText(value: unknown): string {
  if (typeof value !== 'string') return ''
  return /^\d{4}-\d\d-\d\dT/.test(value) ? timeText(value) : value
}
