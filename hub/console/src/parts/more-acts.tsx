/** What else may be done from an object's page, beside what happens to it itself: other objects that begin with it, and its settings. */
import { useQueryClient } from '@tanstack/react-query'
import { Button } from 'antd'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { verbOf } from '../meta.ts'
import { useWords } from '../words.tsx'
import { ActionDialog } from './action-dialog.tsx'
import type { Choice } from './fields-form.tsx'

export interface Act {
  name: string
  /** Of several of the same operation, which. */
  of?: string
  at?: Readonly<Record<string, string>>
  fixed?: Record<string, unknown>
  initial?: Record<string, unknown>
  choices?: Readonly<Record<string, readonly Choice[]>>
  /** Where what it makes is looked at. */
  to?: (answer: { id: string }) => string
}

export default function MoreActs({ acts, title, seen }: { acts: readonly Act[]; title: string; seen: string | undefined }) {
  const { say } = useWords()
  const navigate = useNavigate()
  const client = useQueryClient()
  const [acting, setActing] = useState<Act>()
  if (acts.length === 0) return null
  return (
    <p className="actions">
      {acts.map((act) => (
        <Button key={`${act.name} ${act.of}`} onClick={() => setActing(act)}>
          {say(verbOf(act.name))} {act.of}
        </Button>
      ))}
      {acting && (
        <ActionDialog
          name={acting.name}
          {...(acting.at && { at: acting.at })}
          {...(acting.fixed && { fixed: acting.fixed })}
          {...(acting.initial && { initial: acting.initial })}
          {...(acting.choices && { choices: acting.choices })}
          title={acting.of ?? title}
          seen={acting.to ? undefined : seen}
          close={() => setActing(undefined)}
          done={(answer: { id: string }) => {
            setActing(undefined)
            if (acting.to) void navigate(acting.to(answer))
            else void client.invalidateQueries()
          }}
        />
      )}
    </p>
  )
}
