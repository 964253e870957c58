import { useQuery } from '@tanstack/react-query'
import { Button, Form, Input, Table } from 'antd'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { call } from '../api.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

interface Found {
  database: string
  table: string
  comment: string
  rows?: number | null
}

/** A new registration 目录登记: from a table that the agency's machine sees, or by hand. */
export default function RegisterPage() {
  const { say } = useWords()
  const { can } = useSession()
  const navigate = useNavigate()
  const [problem, setProblem] = useState<unknown>()
  const [busy, setBusy] = useState<string>()
  const tables = useQuery({
    queryKey: ['tables'],
    queryFn: ({ signal }) => call<{ tables: Found[] }>('table.list', { signal }),
    enabled: can('table.list'),
  })
  const open = (id: string) => void navigate(`/registrations/${id}`)
  const fromTable = async ({ database, table }: Found) => {
    setBusy(`${database} ${table}`)
    setProblem(undefined)
    try {
      const { registration } = await call<{ registration: { id: string } }>('table.propose', { body: { database, table } })
      open(registration.id)
    } catch (refused) {
      setProblem(refused)
      setBusy(undefined)
    }
  }
  const byHand = ({ resource, title }: { resource: string; title: string }) =>
    call<{ id: string }>('registration.create', { body: { resource: resource.trim(), content: { title: title.trim() } } }).then(
      ({ id }) => open(id),
      setProblem,
    )
  return (
    <>
      <h1>{say(t('登记信息资源', 'Register a resource'))}</h1>
      {problem !== undefined && <Failed error={problem} />}
      <h2>{say(t('由前置机上的表', 'From a table at the front-end machine'))}</h2>
      {tables.isLoading && (
        <>
          <p>{say(t('正在请前置机读取表清单，最长 20 秒', 'The machine is asked for its tables: 20 seconds at most'))}</p>
          <Waiting />
        </>
      )}
      {tables.error && <Failed error={tables.error} again={() => void tables.refetch()} />}
      {tables.data && (
        <Table<Found>
          size="small"
          rowKey={({ database, table }) => `${database} ${table}`}
          dataSource={tables.data.tables}
          pagination={false}
          columns={[
            { title: say(t('数据库', 'database')), dataIndex: 'database' },
            { title: say(t('表', 'table')), dataIndex: 'table' },
            { title: say(t('注释', 'comment')), dataIndex: 'comment' },
            {
              title: say(t('登记', 'register')),
              render: (_, found) => (
                <Button size="small" loading={busy === `${found.database} ${found.table}`} onClick={() => void fromTable(found)}>
                  {say(t('由此表生成草稿', 'Draft from it'))}
                </Button>
              ),
            },
          ]}
        />
      )}
      <h2>{say(t('手工登记', 'By hand'))}</h2>
      <Form<{ resource: string; title: string }> layout="inline" onFinish={(values) => void byHand(values)}>
        <Form.Item name="resource" label={say(t('资源标识', 'Code'))} rules={[{ required: true, message: say(t('请填写', 'Fill it in')) }]}>
          <Input maxLength={44} placeholder="villages" />
        </Form.Item>
        <Form.Item name="title" label={say(t('名称', 'Title'))} rules={[{ required: true, message: say(t('请填写', 'Fill it in')) }]}>
          <Input maxLength={200} />
        </Form.Item>
        <Button type="primary" htmlType="submit">
          {say(t('建立草稿', 'Make a draft'))}
        </Button>
      </Form>
    </>
  )
}
