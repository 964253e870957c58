/** The classes of information resources 信息资源分类: those of the national guide, and what the office adds below them. */
import { useQuery } from '@tanstack/react-query'
import { Button, Input, Table } from 'antd'
import { useDeferredValue, useState } from 'react'
import { Link } from 'react-router'
import { call } from '../api.ts'
import { verbOf } from '../meta.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

interface Class {
  code: string
  parent: string | null
  zh: string
  en: string
}

export default function ClassificationsPage() {
  const { say } = useWords()
  const { can } = useSession()
  const [adding, setAdding] = useState<string>()
  const [typed, setTyped] = useState('')
  const text = useDeferredValue(typed.trim().toLowerCase())
  const { data, error, refetch } = useQuery({
    queryKey: ['classifications'],
    queryFn: ({ signal }) => call<{ items: Class[] }>('classification.list', { signal }),
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const may = can('classification.add')
  const names = new Map(data.items.map((one) => [one.code, one]))
  const shown = data.items.filter(({ code, zh, en }) => `${code} ${zh} ${en}`.toLowerCase().includes(text))
  return (
    <>
      <h1>{say(t('信息资源分类', 'Classification'))}</h1>
      <div className="filters">
        <Input
          aria-label={say(t('包含', 'contains'))}
          placeholder={say(t('代码或名称', 'code or name'))}
          allowClear
          style={{ width: 240 }}
          value={typed}
          onChange={({ target }) => setTyped(target.value)}
        />
        <span className="muted number" role="status">
          {say(t(`${shown.length} 类`, shown.length === 1 ? '1 class' : `${shown.length} classes`))}
        </span>
        {may && (
          <Button type="primary" onClick={() => setAdding('')}>
            {say(verbOf('classification.add'))}
          </Button>
        )}
      </div>
      <Table<Class>
        size="small"
        rowKey="code"
        dataSource={shown}
        pagination={shown.length > 100 ? { pageSize: 100, size: 'small', showSizeChanger: false } : false}
        columns={[
          {
            title: say(t('代码', 'code')),
            render: (_, { code }) => <Link to={`/catalog?classification=${encodeURIComponent(code)}`}>{code}</Link>,
          },
          { title: say(t('名称', 'name')), render: (_, one) => say(one) },
          { title: say(t('上级', 'above')), render: (_, { parent }) => (parent && names.has(parent) ? say(names.get(parent)!) : '—') },
          ...(may
            ? [
                {
                  title: say(t('办理', 'acts')),
                  render: (_: unknown, one: Class) =>
                    one.code.length < 12 && (
                      <Button
                        size="small"
                        aria-label={`${say(t('增加下级', 'Add one below'))} ${say(one)}`}
                        onClick={() => setAdding(one.code)}
                      >
                        {say(t('增加下级', 'Add one below'))}
                      </Button>
                    ),
                },
              ]
            : []),
        ]}
      />
      {adding !== undefined && (
        <ActionDialog
          name="classification.add"
          initial={{ code: adding }}
          hint={t(
            '代码以上级的代码开头：类 1 位，项 2 位，目 3 位，细目至多 6 位。增加后不能删除。',
            'A code begins with the one above it: class 1 digit, item 2, sub-item 3, detail up to 6. It cannot be removed.',
          )}
          close={() => setAdding(undefined)}
        />
      )}
    </>
  )
}
