import { useQueryClient } from '@tanstack/react-query'
import { App, Form, Modal } from 'antd'
import { useState, type ReactNode } from 'react'
import { call } from '../api.ts'
import { operations, verbOf, type Field, type Text } from '../meta.ts'
import { t, useWords } from '../words.tsx'
import { FieldInputs, filledIn, type Choice } from './fields-form.tsx'
import { Failed } from './outcome.tsx'

/** What cannot be taken back. */
const final = /\.(?:revoke|withdraw|stop|discard|disable|end|end-all|reject|refuse|dismiss|object|give-up|reset-factor|delete)$/

/** None at all is an answer, too. */
const isMasks = ({ name, required }: Field) => name === 'masks' && required

interface Asked {
  name: string
  /** What the path names: the object; nothing where something new is made. */
  at?: Readonly<Record<string, string>>
  title?: string
  seen?: string | undefined
  choices?: Readonly<Record<string, readonly Choice[]>>
  initial?: Record<string, unknown>
  /** Members of the request that are known, and not asked for. */
  fixed?: Record<string, unknown>
  /** What is to be known before it is done, such as whom it touches. */
  note?: ReactNode
  /** How it is filled in. */
  hint?: Text
  close: () => void
  /** Where it is not given, the dialog closes and what is shown is asked anew. */
  done?: (answer: any) => void
}

/** Asks for what comes with an operation, and does it: nothing happens before the second step. */
export function ActionDialog({ name, at = {}, title, seen, choices = {}, initial = {}, fixed = {}, note, hint, close, done }: Asked) {
  const { say } = useWords()
  const { message } = App.useApp()
  const client = useQueryClient()
  const [form] = Form.useForm<Record<string, unknown>>()
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const operation = operations[name]!
  const fields = (operation.body ?? []).filter((field) => !(field.name in fixed))
  const submit = async (values: Record<string, unknown>) => {
    setBusy(true)
    try {
      const answer = await call(name, { at, seen, body: { ...(fields.some(isMasks) && { masks: {} }), ...filledIn(values), ...fixed } })
      void message.success(say(t('已办理', 'Done')))
      if (done) return done(answer)
      close()
      await client.invalidateQueries()
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const words = say(verbOf(name))
  const isFinal = final.test(name)
  const isAsked = fields.every(({ required }) => !required)
  return (
    <Modal
      open
      title={title ? `${words} · ${title}` : words}
      onCancel={close}
      onOk={form.submit}
      confirmLoading={busy}
      okText={words}
      okButtonProps={{ danger: isFinal, autoFocus: isAsked && !isFinal }}
      // What cannot be taken back is not what Enter does.
      cancelButtonProps={{ autoFocus: isAsked && isFinal }}
      cancelText={say(t('返回', 'Back'))}
      destroyOnHidden
    >
      {note}
      {hint && <p className="muted">{say(hint)}</p>}
      {error !== undefined && <Failed error={error} />}
      <Form form={form} layout="vertical" initialValues={initial} onFinish={(values) => void submit(values)}>
        <FieldInputs fields={fields} choices={choices} />
      </Form>
    </Modal>
  )
}
