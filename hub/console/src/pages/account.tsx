import { useQueryClient } from '@tanstack/react-query'
import { Button } from 'antd'
import { useState } from 'react'
import { call } from '../api.ts'
import { comma } from '../fields.ts'
import { roles } from '../meta.ts'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'
import { FactorPage } from './factor.tsx'
import { PasswordPage } from './password.tsx'

export default function AccountPage() {
  const { say } = useWords()
  const { me } = useSession()
  const client = useQueryClient()
  const [changing, setChanging] = useState<'password' | 'factor'>()
  const done = () => {
    setChanging(undefined)
    void client.invalidateQueries({ queryKey: ['session'] })
  }
  if (changing === 'password') return <PasswordPage done={done} />
  if (changing === 'factor') return <FactorPage done={done} />
  const signOutAll = async () => {
    await call('session.close-all')
    client.setQueryData(['session'], null)
  }
  return (
    <>
      <h1>{say(t('个人中心', 'My account'))}</h1>
      <dl className="facts">
        <dt>{say(t('姓名', 'Name'))}</dt>
        <dd>{me.name}</dd>
        <dt>{say(t('单位', 'Agency'))}</dt>
        <dd>{me.agencyName}</dd>
        <dt>{say(t('角色', 'Roles'))}</dt>
        <dd>{me.roles.map((role) => (roles[role] ? say(roles[role]) : role)).join(say(comma))}</dd>
        <dt>{say(t('上次登录', 'Last sign-in'))}</dt>
        <dd>{me.lastSignIn ? timeText(me.lastSignIn) : '—'}</dd>
      </dl>
      <div className="actions">
        <Button onClick={() => setChanging('password')}>{say(t('更换口令', 'Another password'))}</Button>
        {!me.hasFactor && <Button onClick={() => setChanging('factor')}>{say(t('设置动态验证码', 'Set up the second factor'))}</Button>}
        <Button danger onClick={() => void signOutAll()}>
          {say(t('在所有设备上退出', 'Sign out everywhere'))}
        </Button>
      </div>
    </>
  )
}
