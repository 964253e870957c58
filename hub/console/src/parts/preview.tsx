/** Rows as they would be delivered 预览, for who decides: asked of the provider's machine, kept nowhere, on record. */
import { useMutation } from '@tanstack/react-query'
import { Button, Table } from 'antd'
import { call } from '../api.ts'
import { t, useWords } from '../words.tsx'
import { Failed } from './outcome.tsx'

interface Rows {
  items: string[]
  rows: (string | null)[][]
  omitted: number
}

export function Preview({ id, labels }: { id: string; labels: ReadonlyMap<string, string> }) {
  const { say } = useWords()
  const { data, error, isPending, mutate } = useMutation({
    mutationFn: () => call<Rows>('application.preview', { at: { id }, body: {} }),
  })
  return (
    <>
      <p className="actions">
        <Button size="small" loading={isPending} onClick={() => mutate()}>
          {say(t('预览将要共享的数据', 'Look at rows as they would be delivered'))}
        </Button>
        {isPending && (
          <span className="muted">
            {say(t('正在请提供单位的前置机读取，最长 20 秒', "the provider's machine reads them: 20 seconds at most"))}
          </span>
        )}
      </p>
      {error && <Failed error={error} again={() => mutate()} />}
      {data && (
        <Table
          size="small"
          rowKey={(row) => row.join('\u0000')}
          dataSource={data.rows}
          pagination={false}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: say(t('表中没有数据', 'There are no rows')) }}
          columns={data.items.map((item, at) => ({
            title: labels.get(item) ?? item,
            key: item,
            render: (_: unknown, row: (string | null)[]) => row[at] ?? <span className="muted">∅</span>,
          }))}
        />
      )}
    </>
  )
}
