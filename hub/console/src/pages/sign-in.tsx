import { Button, Form, Input } from 'antd'
import { useState } from 'react'
import { Problem, send } from '../api.ts'
import { LanguageSwitch } from '../parts/language-switch.tsx'
import { Failed } from '../parts/outcome.tsx'
import { t, useWords } from '../words.tsx'

interface Credentials {
  login: string
  password: string
  code?: string
}

/** The code of the second factor is asked for only when the hub wants it. */
export function SignInPage({ done }: { done: () => void }) {
  const { say } = useWords()
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const wantsCode = error instanceof Problem && error.code.startsWith('QZ-SECOND-FACTOR')
  const [asksCode, setAsksCode] = useState(false)
  const submit = async ({ login, password, code }: Credentials) => {
    setBusy(true)
    try {
      await send('POST', '/api/v1/session', { body: { login: login.trim(), password, ...(code && { code }) } })
      done()
    } catch (problem) {
      setError(problem)
      if (problem instanceof Problem && problem.code.startsWith('QZ-SECOND-FACTOR')) setAsksCode(true)
    } finally {
      setBusy(false)
    }
  }
  return (
    <main className="sign-in">
      <h1>{say(t('前置 · 政务数据共享平台', 'Qianzhi · government data sharing'))}</h1>
      <Form<Credentials> layout="vertical" onFinish={(values) => void submit(values)} requiredMark={false}>
        <Form.Item
          name="login"
          label={say(t('登录名', 'Login'))}
          rules={[{ required: true, message: say(t('请填写登录名', 'Fill in the login')) }]}
        >
          <Input autoComplete="username" autoFocus />
        </Form.Item>
        <Form.Item
          name="password"
          label={say(t('口令', 'Password'))}
          rules={[{ required: true, message: say(t('请填写口令', 'Fill in the password')) }]}
        >
          <Input.Password autoComplete="current-password" visibilityToggle={false} />
        </Form.Item>
        {asksCode && (
          <Form.Item name="code" label={say(t('动态验证码', 'Code of the second factor'))}>
            <Input autoComplete="one-time-code" inputMode="numeric" maxLength={6} autoFocus />
          </Form.Item>
        )}
        {error !== undefined && !wantsCode && <Failed error={error} />}
        <Button type="primary" htmlType="submit" loading={busy} block>
          {say(t('登录', 'Sign in'))}
        </Button>
      </Form>
      <p className="actions">
        <a href="/open">{say(t('对外开放数据', 'Open data'))}</a>
        <a href="/activate">{say(t('激活账户', 'Activate an account'))}</a>
        <LanguageSwitch />
      </p>
    </main>
  )
}
