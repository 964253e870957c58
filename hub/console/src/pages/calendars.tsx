/** The calendar of working days: which years are known and from where, which are wanted, and what the office puts of them. */
import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Table } from 'antd'
import { useState } from 'react'
import { call } from '../api.ts'
import type { Text } from '../meta.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

interface Year {
  year: number
  source: string
  holidays: string[]
  workdays: string[]
  from: 'built-in' | 'configuration' | 'office'
}

interface Calendars {
  items: Year[]
  wanted: number[]
}

const froms: Readonly<Record<Year['from'], Text>> = {
  'built-in': t('随软件提供', 'comes with the program'),
  configuration: t('中心的配置文件', "the hub's configuration"),
  office: t('市电子政务办填报', 'put by the office'),
}

export default function CalendarsPage() {
  const { say } = useWords()
  const { can } = useSession()
  const [editing, setEditing] = useState<Partial<Year>>()
  const { data, error, refetch } = useQuery({
    queryKey: ['calendars'],
    queryFn: ({ signal }) => call<Calendars>('calendar.list', { signal }),
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const may = can('calendar.put')
  const next = data.wanted[0] ?? Math.max(...data.items.map(({ year }) => year)) + 1
  return (
    <>
      <h1>{say(t('工作日日历', 'Calendar of working days'))}</h1>
      <p className="muted">
        {say(
          t(
            '期限按工作日计算：节假日不计，调休上班日计入。以国务院办公厅每年的节假日安排为准。',
            "Deadlines count working days, without holidays and with make-up days, as the State Council's notice of the year has them.",
          ),
        )}
      </p>
      {data.wanted.length > 0 && (
        <Alert
          type="warning"
          showIcon
          title={say(
            t(
              `尚缺 ${data.wanted.join('、')} 年：及于该年的期限无法推算`,
              `Wanted: ${data.wanted.join(', ')}. No deadline that reaches into it can be counted`,
            ),
          )}
        />
      )}
      {may && (
        <p className="actions">
          <Button type="primary" onClick={() => setEditing({ year: next })}>
            {say(t(`填报 ${next} 年`, `Enter ${next}`))}
          </Button>
        </p>
      )}
      <Table<Year>
        size="small"
        rowKey={({ year }) => year}
        dataSource={data.items.toReversed()}
        pagination={false}
        columns={[
          { title: say(t('年份', 'year')), dataIndex: 'year' },
          { title: say(t('节假日', 'holidays')), render: (_, { holidays }) => <Days days={holidays} /> },
          { title: say(t('调休上班日', 'make-up days')), render: (_, { workdays }) => <Days days={workdays} /> },
          { title: say(t('依据', 'published by')), dataIndex: 'source' },
          { title: say(t('来源', 'known from')), render: (_, { from }) => say(froms[from]) },
          ...(may
            ? [
                {
                  title: say(t('办理', 'acts')),
                  render: (_: unknown, year: Year) => (
                    <Button
                      size="small"
                      aria-label={say(t(`更正 ${year.year} 年`, `Correct ${year.year}`))}
                      onClick={() => setEditing(year)}
                    >
                      {say(t('更正', 'Correct'))}
                    </Button>
                  ),
                },
              ]
            : []),
        ]}
      />
      {editing && (
        <ActionDialog
          name="calendar.put"
          initial={{ ...editing, holidays: editing.holidays ?? [], workdays: editing.workdays ?? [] }}
          hint={t(
            '日期写作 2027-02-20；连续几天写作 2027-01-01/2027-01-03。可一次粘贴多个，以空格或逗号分隔。',
            'A day is 2027-02-20, some in a row are 2027-01-01/2027-01-03. Several can be pasted, with spaces or commas between.',
          )}
          close={() => setEditing(undefined)}
        />
      )}
    </>
  )
}

function Days({ days }: { days: readonly string[] }) {
  return days.map((day) => (
    <div key={day} className="nowrap number">
      {day.replace('/', ' – ')}
    </div>
  ))
}
