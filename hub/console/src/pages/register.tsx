import { useQuery } from '@tanstack/react-query'
import { Button, Form, Input, Select, Table } from 'antd'
import { useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { call } from '../api.ts'
import type { Text } from '../meta.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

interface Found {
  database: string
  table: string
  comment: string
}

interface Machine {
  id: string
  name: string
}

/** A draft as it was made from a table. */
export interface Proposed {
  registration: { id: string }
  /** Columns that cannot be items without loss. */
  left: { column: string; native: string }[]
  notes: Text[]
}

/** A new registration 目录登记: from a table that the agency's machine sees, by a standard, as a change of what is there, or by hand. */
export default function RegisterPage() {
  const { say } = useWords()
  const { can } = useSession()
  const navigate = useNavigate()
  const [problem, setProblem] = useState<unknown>()
  const create = (body: object) =>
    call<{ id: string }>('registration.create', { body }).then(({ id }) => void navigate(`/registrations/${id}`), setProblem)
  return (
    <>
      <h1>{say(t('登记信息资源', 'Register a resource'))}</h1>
      {problem !== undefined && <Failed error={problem} />}
      <h2>{say(t('一、由前置机上的表', '1. From a table at the front-end machine'))}</h2>
      {can('table.list') && <FromMachine failed={setProblem} />}
      <h2>{say(t('二、按数据标准', '2. By a data standard'))}</h2>
      <Chosen
        list="standard.list"
        code="code"
        words={t('选择数据标准', 'Choose a standard')}
        none={t('市电子政务办还没有公布数据标准。', 'The office has published no standard yet.')}
        take={(standard) => void create({ standard })}
        query={{ state: 'published' }}
      />
      <h2>{say(t('三、修改已登记的资源', '3. A change of a registered resource'))}</h2>
      <Chosen
        list="resource.list"
        code="code"
        words={t('选择本单位的资源', 'Choose a resource of your agency')}
        none={t('本单位还没有已发布的资源。', 'Your agency has published none yet.')}
        take={(resource) => void create({ resource })}
        query={{ state: 'active' }}
      />
      <h2>{say(t('四、手工登记，信息项可从 EXCEL 粘贴', '4. By hand; items can be pasted from Excel'))}</h2>
      <Form<{ resource: string; title: string }>
        colon={false}
        layout="inline"
        onFinish={({ resource, title }) => void create({ resource: resource.trim(), content: { title: title.trim() } })}
      >
        <Form.Item
          name="resource"
          label={say(t('资源标识（小写字母、数字、下划线）', 'Code (small letters, digits, underscores)'))}
          rules={[{ required: true, message: say(t('请填写', 'Fill it in')) }]}
        >
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

/** The tables of one of the agency's machines; where it has none, how one comes to be. */
function FromMachine({ failed }: { failed: (problem: unknown) => void }) {
  const { say } = useWords()
  const { can } = useSession()
  const [chosen, setChosen] = useState<string>()
  const { data, error } = useQuery({
    queryKey: ['list', 'agent.list', 'active'],
    queryFn: ({ signal }) => call<{ items: Machine[] }>('agent.list', { query: { state: 'active', limit: '100' }, signal }),
  })
  if (error) return <Failed error={error} />
  if (!data) return <Waiting />
  const [first, ...others] = data.items
  if (!first)
    return (
      <p>
        {say(
          t(
            '本单位还没有在用的前置机，所以没有可选的表。',
            'Your agency has no front-end machine in use, so that there is no table to choose.',
          ),
        )}{' '}
        {can('machine.apply') ? (
          <Link to="/machines?make=machine.apply">{say(t('申请前置机', 'Apply for a machine'))}</Link>
        ) : (
          say(
            t(
              '请本单位信息化人员在“前置机申请”中申请一台；在此之前可用下面的方式登记。',
              'Ask your agency IT to apply for one; until then there are the ways below.',
            ),
          )
        )}
      </p>
    )
  const agent = chosen ?? first.id
  return (
    <>
      {others.length > 0 && (
        <p>
          <Select
            aria-label={say(t('前置机', 'machine'))}
            value={agent}
            onChange={setChosen}
            options={data.items.map(({ id, name }) => ({ value: id, label: name || id }))}
            style={{ minWidth: 240 }}
          />
        </p>
      )}
      <Tables key={agent} agent={agent} failed={failed} />
    </>
  )
}

function Tables({ agent, failed }: { agent: string; failed: (problem: unknown) => void }) {
  const { say } = useWords()
  const navigate = useNavigate()
  const [busy, setBusy] = useState<string>()
  const [wanted, setWanted] = useState('')
  const tables = useQuery({
    queryKey: ['tables', agent],
    queryFn: ({ signal }) => call<{ tables: Found[] }>('table.list', { query: { agent }, signal }),
  })
  const draft = async ({ database, table }: Found) => {
    setBusy(`${database} ${table}`)
    failed(undefined)
    try {
      const proposed = await call<Proposed>('table.propose', { body: { agent, database, table } })
      void navigate(`/registrations/${proposed.registration.id}`, { state: proposed })
    } catch (refused) {
      failed(refused)
      setBusy(undefined)
    }
  }
  if (tables.error) return <Failed error={tables.error} again={() => void tables.refetch()} />
  if (!tables.data)
    return (
      <>
        <p>{say(t('正在请前置机读取表清单，最长 20 秒', 'The machine is asked for its tables: 20 seconds at most'))}</p>
        <Waiting />
      </>
    )
  const all = tables.data.tables
  const shown = all.filter(({ table, comment }) => `${table} ${comment}`.toLowerCase().includes(wanted.trim().toLowerCase()))
  return (
    <>
      {all.length > 20 && (
        <p>
          <Input
            allowClear
            aria-label={say(t('表名或注释', 'table or comment'))}
            placeholder={say(t('表名或注释', 'table or comment'))}
            style={{ width: 240 }}
            onChange={({ target }) => setWanted(target.value)}
          />
        </p>
      )}
      <Table<Found>
        size="small"
        rowKey={({ database, table }) => `${database} ${table}`}
        dataSource={shown}
        pagination={shown.length > 20 ? { pageSize: 20, size: 'small', showSizeChanger: false } : false}
        locale={{ emptyText: say(t('没有这样的表', 'There is no such table')) }}
        columns={[
          { title: say(t('数据库', 'database')), dataIndex: 'database' },
          { title: say(t('表', 'table')), dataIndex: 'table' },
          { title: say(t('注释', 'comment')), dataIndex: 'comment' },
          {
            title: say(t('登记', 'register')),
            render: (_, found) => (
              <Button size="small" loading={busy === `${found.database} ${found.table}`} onClick={() => void draft(found)}>
                {say(t('由此表生成草稿', 'Draft from it'))}
              </Button>
            ),
          },
        ]}
      />
    </>
  )
}

interface ChosenProps {
  list: string
  code: string
  words: Text
  none: Text
  query: Readonly<Record<string, string>>
  take: (code: string) => void
}

/** One of a list that a draft begins with. */
function Chosen({ list, code, words, none, query, take }: ChosenProps) {
  const { say } = useWords()
  const { can } = useSession()
  const { data } = useQuery({
    queryKey: ['list', list, 'to choose', query],
    queryFn: ({ signal }) => call<{ items: Record<string, string>[] }>(list, { query: { ...query, limit: '100' }, signal }),
    enabled: can(list),
  })
  if (!data) return null
  if (data.items.length === 0) return <p className="muted">{say(none)}</p>
  return (
    <Select
      aria-label={say(words)}
      placeholder={say(words)}
      style={{ width: 360 }}
      showSearch={{ optionFilterProp: 'label' }}
      options={data.items.map((line) => ({ value: line[code]!, label: `${line['title']} ${line[code]}` }))}
      onChange={take}
    />
  )
}
