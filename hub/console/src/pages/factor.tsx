import { useQuery } from '@tanstack/react-query'
import { Button, Form, Input, QRCode } from 'antd'
import { useState } from 'react'
import { call } from '../api.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { t, useWords } from '../words.tsx'

/** The second factor is set up: a picture for the telephone, the secret as text for who cannot take one. */
export function FactorPage({ done }: { done: () => void }) {
  const { say } = useWords()
  const begun = useQuery({
    queryKey: ['factor'],
    queryFn: () => call<{ secret: string; uri: string }>('me.factor-begin'),
    staleTime: Infinity,
    gcTime: 0,
  })
  const [error, setError] = useState<unknown>()
  const submit = async ({ code }: { code: string }) => {
    try {
      await call('me.factor-confirm', { body: { code } })
      done()
    } catch (refused) {
      setError(refused)
    }
  }
  if (begun.error) return <Failed error={begun.error} again={() => void begun.refetch()} />
  if (!begun.data) return <Waiting />
  return (
    <main className="sign-in">
      <h1>{say(t('设置动态验证码', 'Set up the second factor'))}</h1>
      <p>{say(t('用手机上的验证器扫描，再填写它显示的六位数字', 'Scan this with an authenticator, then enter the six digits it shows'))}</p>
      {/* Many authenticators read no light signs on dark ground. */}
      <QRCode aria-label={say(t('二维码', 'QR code'))} value={begun.data.uri} type="svg" color="#000" bgColor="#fff" />
      <p className="muted">
        {say(t('不能扫描时手工录入密钥：', 'Where it cannot be scanned, enter the secret: '))}
        <code>{begun.data.secret}</code>
      </p>
      <Form<{ code: string }> layout="vertical" onFinish={(values) => void submit(values)}>
        <Form.Item name="code" label={say(t('动态验证码', 'Code'))}>
          <Input autoComplete="one-time-code" inputMode="numeric" maxLength={6} autoFocus />
        </Form.Item>
        {error !== undefined && <Failed error={error} />}
        <Button type="primary" htmlType="submit" block>
          {say(t('确认', 'Confirm'))}
        </Button>
      </Form>
    </main>
  )
}
