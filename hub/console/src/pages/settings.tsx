import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { call } from '../api.ts'
import { comma, plain } from '../fields.ts'
import { roles, type Text } from '../meta.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { t, useWords } from '../words.tsx'

type Settings = Readonly<Record<string, unknown>>

const words: Readonly<Record<string, Text>> = {
  supervision: t('监督', 'Supervision'),
  deadlines: t('办理时限（工作日）', 'deadlines (working days)'),
  'catalog-update': t('目录更新（第十三条）', 'catalog update (Art. 13)'),
  'application-reply': t('申请答复（第十六条）', 'reply to applications (Art. 16)'),
  delivery: t('数据提供（第十六条）', 'delivery (Art. 16)'),
  correction: t('数据更正（第十八条）', 'corrections (Art. 18)'),
  rectification: t('责令改正（第二十七条）', 'rectification (Art. 27)'),
  days: t('期限', 'days'),
  extension: t('可延长', 'extension'),
  warn: t('提前提醒', 'warned before'),
  duties: t('更新义务（第十四条）', 'update duties (Art. 14)'),
  warnHours: t('提前提醒（小时）', 'warned before (hours)'),
  daily: t('每日', 'daily'),
  weekly: t('每周', 'weekly'),
  monthly: t('每月', 'monthly'),
  quarterly: t('每季度', 'quarterly'),
  realtime: t('实时资源的考核周期', 'real-time resources judged'),
  dailyOn: t('每日更新的日子', 'daily on'),
  realtimeMinutes: t('实时数据的最长时延（分钟）', 'real-time data at most old (minutes)'),
  weights: t('评估权重（第二十四条）', 'weights of the evaluation (Art. 24)'),
  quantity: t('数量', 'quantity'),
  timeliness: t('及时', 'timeliness'),
  use: t('应用', 'use'),
  morningMinutes: t('早报的宽限（分钟）', 'morning line late after (minutes)'),
  everySeconds: t('检查间隔（秒）', 'looked after every (seconds)'),
  calendar: t('工作日日历', 'Calendar'),
  years: t('已有年份', 'years known'),
  access: t('登录', 'Signing in'),
  session: t('会话（分钟）', 'sessions (minutes)'),
  idle: t('闲置', 'idle'),
  longest: t('最长', 'longest'),
  password: t('口令', 'passwords'),
  length: t('最短长度', 'least length'),
  kinds: t('字符种类', 'kinds of characters'),
  earlier: t('不得与前几个相同', 'unlike the last'),
  lock: t('锁定', 'locks'),
  failures: t('失败次数', 'failures'),
  minutes: t('分钟', 'minutes'),
  factor: t('须设动态验证码的角色', 'roles with a second factor'),
  attempts: t('每分钟每地址尝试次数', 'attempts a minute and address'),
  invitationHours: t('激活链接有效（小时）', 'links work for (hours)'),
  audit: t('审计', 'Audit'),
  kept: t('保存期限', 'kept'),
  'for ever': t('永久', 'for ever'),
  'every-day': t('每天', 'every day'),
  'working-days': t('工作日', 'working days'),
}

/** The settings that somebody may know, as the hub runs with them. */
export default function SettingsPage() {
  const { say } = useWords()
  const { data, error, refetch } = useQuery({
    queryKey: ['settings'],
    queryFn: ({ signal }) => call<Settings>('settings.read', { signal }),
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  return (
    <>
      <h1>{say(t('设置', 'Settings'))}</h1>
      <p className="muted">
        {say(t('设置写在中心的配置文件中，此处只供查看。', "They stand in the hub's configuration file; this page shows them."))}
      </p>
      {Object.entries(data).map(([part, values]) => (
        <section key={part}>
          <h2>
            {say(words[part] ?? t(part, part))}{' '}
            {part === 'calendar' && <Link to="/calendars">{say(t('节假日和调休', 'Holidays and make-up days'))}</Link>}
          </h2>
          <Values values={values as Settings} />
        </section>
      ))}
    </>
  )
}

function Values({ values }: { values: Settings }) {
  const { say } = useWords()
  const word = (name: string) => say(words[name] ?? roles[name] ?? t(name, name))
  const shown = (value: unknown) => {
    if (value === null) return '—'
    if (Array.isArray(value)) return value.map((one) => word(String(one))).join(say(comma)) || '—'
    if (typeof value === 'object') return <Values values={value as Settings} />
    return word(plain(value))
  }
  const columns = columnsOf(values)
  if (columns)
    return (
      <table className="plain-table number">
        <thead>
          <tr>
            <td />
            {columns.map((name) => (
              <th key={name} scope="col">
                {word(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Object.entries(values as Readonly<Record<string, Settings>>).map(([name, line]) => (
            <tr key={name}>
              <th scope="row">{word(name)}</th>
              {columns.map((column) => (
                <td key={column}>{shown(line[column])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    )
  return (
    <dl className="facts">
      {Object.entries(values).flatMap(([name, value]) => [<dt key={`${name} name`}>{word(name)}</dt>, <dd key={name}>{shown(value)}</dd>])}
    </dl>
  )
}

/** Of several of the same shape, what each of them has: they are the lines of a table. */
function columnsOf(values: Settings): string[] | undefined {
  const lines = Object.values(values)
  const [first] = lines
  if (lines.length < 2 || typeof first !== 'object' || first === null || Array.isArray(first)) return undefined
  const columns = Object.keys(first)
  const alike = lines.every((line) => typeof line === 'object' && line !== null && Object.keys(line).join() === columns.join())
  return alike ? columns : undefined
}
