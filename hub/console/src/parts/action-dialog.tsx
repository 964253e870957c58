import { App, Form, Modal } from 'antd'
import { useState } from 'react'
import { call } from '../api.ts'
import { operations, verbOf } from '../meta.ts'
import { t, useWords } from '../words.tsx'
import { FieldInputs, filledIn, type Choice } from './fields-form.tsx'
import { Failed } from './outcome.tsx'

/** What cannot be taken back. */
const final = /\.(?:revoke|withdraw|stop|discard|disable|end|end-all|reject|refuse|dismiss|object|give-up|reset-factor|delete)$/

interface Asked {
  name: string
  /** What the path names: the object; nothing where something new is made. */
  at?: Readonly<Record<string, string>>
  title?: string
  seen?: string | undefined
  choices?: Readonly<Record<string, readonly Choice[]>>
  initial?: Record<string, unknown>
  close: () => void
  done: (answer: any) => void
}

/** Asks for what comes with an operation, and does it: nothing happens before the second step. */
export function ActionDialog({ name, at = {}, title, seen, choices = {}, initial = {}, close, done }: Asked) {
  const { say } = useWords()
  const { message } = App.useApp()
  const [form] = Form.useForm<Record<string, unknown>>()
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const operation = operations[name]!
  const fields = operation.body ?? []
  const submit = async (values: Record<string, unknown>) => {
    setBusy(true)
    try {
      const answer = await call(name, { at, seen, body: filledIn(values) })
      void message.success(say(t('已办理', 'Done')))
      done(answer)
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const words = say(verbOf(name))
  return (
    <Modal
      open
      title={title ? `${words} · ${title}` : words}
      onCancel={close}
      onOk={form.submit}
      confirmLoading={busy}
      okText={words}
      okButtonProps={{ danger: final.test(name), autoFocus: fields.every(({ required }) => !required) }}
      cancelText={say(t('返回', 'Back'))}
      destroyOnHidden
    >
      {error !== undefined && <Failed error={error} />}
      <Form form={form} layout="vertical" initialValues={initial} onFinish={(values) => void submit(values)}>
        <FieldInputs fields={fields} choices={choices} />
      </Form>
    </Modal>
  )
}
