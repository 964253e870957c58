import { Button, Form, Input } from 'antd'
import { useState } from 'react'
import { call } from '../api.ts'
import { Failed } from '../parts/outcome.tsx'
import { t, useWords } from '../words.tsx'

interface Passwords {
  password: string
  next: string
  again: string
}

/** Another password: because it is due, or wanted. */
export function PasswordPage({ done }: { done: () => void }) {
  const { say } = useWords()
  const [error, setError] = useState<unknown>()
  const submit = async ({ password, next }: Passwords) => {
    try {
      await call('me.password', { body: { password, next } })
      done()
    } catch (refused) {
      setError(refused)
    }
  }
  const required = { required: true, message: say(t('请填写', 'Fill it in')) }
  return (
    <main className="sign-in">
      <h1>{say(t('更换口令', 'Another password'))}</h1>
      <Form<Passwords> layout="vertical" onFinish={(values) => void submit(values)} requiredMark={false}>
        <Form.Item name="password" label={say(t('现用口令', 'Present password'))} rules={[required]}>
          <Input.Password autoComplete="current-password" visibilityToggle={false} autoFocus />
        </Form.Item>
        <Form.Item name="next" label={say(t('新口令', 'New password'))} rules={[required]}>
          <Input.Password autoComplete="new-password" visibilityToggle={false} />
        </Form.Item>
        <Form.Item
          name="again"
          label={say(t('再输一次', 'Once more'))}
          dependencies={['next']}
          rules={[
            required,
            ({ getFieldValue }) => ({
              validator: (_, value) =>
                value === getFieldValue('next') ? Promise.resolve() : Promise.reject(new Error(say(t('两次输入不一致', 'They differ')))),
            }),
          ]}
        >
          <Input.Password autoComplete="new-password" visibilityToggle={false} />
        </Form.Item>
        {error !== undefined && <Failed error={error} />}
        <Button type="primary" htmlType="submit" block>
          {say(t('更换', 'Change'))}
        </Button>
      </Form>
    </main>
  )
}
