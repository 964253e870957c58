import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Table } from 'antd'
import { useState } from 'react'
import { call, Problem } from '../api.ts'
import { nameOf, plain } from '../fields.ts'
import { operations, verbOf } from '../meta.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'
import { ActionDialog } from './action-dialog.tsx'
import { Once } from './once.tsx'
import { Failed } from './outcome.tsx'
import { Value } from './value.tsx'

/** What belongs to an object: a list of its own, with what makes a line and what may be done with one. */
export interface Belonging {
  readonly list: string
  readonly columns: readonly string[]
  readonly make?: string
  /** Operations on a line, which the parameter names in their path. */
  readonly on?: readonly string[]
  readonly parameter?: string
}

type Line = Record<string, unknown>

export function Belongings({ all, id }: { all: readonly Belonging[]; id: string }) {
  const { can } = useSession()
  return all.filter(({ list }) => can(list)).map((one) => <One key={one.list} belonging={one} id={id} />)
}

interface Acting {
  name: string
  at: Readonly<Record<string, string>>
}

function One({ belonging, id }: { belonging: Belonging; id: string }) {
  const { say } = useWords()
  const { can } = useSession()
  const client = useQueryClient()
  const [acting, setActing] = useState<Acting>()
  const [once, setOnce] = useState<Line>()
  const { list, columns, make, on = [], parameter = 'id' } = belonging
  const { data, error } = useQuery({
    queryKey: ['belonging', list, id],
    queryFn: ({ signal }) => call<{ items: Line[] }>(list, { at: { id }, signal }),
  })
  // What cannot have any is not told of it.
  if (error instanceof Problem && error.status < 500) return null
  if (error) return <Failed error={error} />
  const possible = on.filter(can)
  const acts = (line: Line) =>
    line['ended'] === null || line['ended'] === undefined
      ? possible.map((name) => (
          <Button key={name} size="small" onClick={() => setActing({ name, at: { id, [parameter]: plain(line['id']) } })}>
            {say(verbOf(name))}
          </Button>
        ))
      : null
  return (
    <section>
      <h2>
        {say(verbOf(list))}{' '}
        {make && can(make) && (
          <Button size="small" onClick={() => setActing({ name: make, at: { id } })}>
            {say(verbOf(make))}
          </Button>
        )}
      </h2>
      <Once answer={once} close={() => setOnce(undefined)} />
      <Table<Line>
        size="small"
        rowKey={(line) => plain(line['id'] ?? line['day'] ?? line['number'])}
        dataSource={data?.items ?? []}
        pagination={false}
        locale={{ emptyText: say(t('还没有', 'There are none yet')) }}
        columns={[
          ...columns.map((member) => ({
            title: say(nameOf(member)),
            key: member,
            render: (_: unknown, line: Line) => <Value line={line} member={member} />,
          })),
          ...(possible.length > 0 ? [{ title: say(t('办理', 'acts')), key: 'acts', render: (_: unknown, line: Line) => acts(line) }] : []),
        ]}
      />
      {acting && (
        <ActionDialog
          name={acting.name}
          at={acting.at}
          title={operations[acting.name]!.path.includes(`:${parameter}`) ? (acting.at[parameter] ?? '') : id}
          close={() => setActing(undefined)}
          done={(answer: Line) => {
            setActing(undefined)
            setOnce(answer)
            void client.invalidateQueries({ queryKey: ['belonging'] })
          }}
        />
      )}
    </section>
  )
}
