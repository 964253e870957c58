/** The wall screen: all of the city at a glance, for weeks, with nobody before it. Keys 1 to 4 choose one part, the same again shows all. */
import { useEffect, useMemo, useState, type ReactNode } from 'react'
import { ageText, valueText } from '../fields.ts'
import { useKeys } from '../keys.ts'
import type { Text } from '../meta.ts'
import { useMoving } from '../moving.ts'
import { Bar, Lines, Ring } from '../parts/charts.tsx'
import { RailsMap } from '../parts/rails-map.tsx'
import { arrange, type Flow } from '../rails.ts'
import { useWall, type Seen, type Wall } from '../wall.ts'
import { daysBetween, t, timeText, useWords } from '../words.tsx'
import '../style/wall.css'

const parts = ['flows', 'duties', 'applications', 'corrections'] as const
type Part = (typeof parts)[number]

export default function WallPage() {
  const { say } = useWords()
  const seen = useWall()
  const now = useNow()
  const [part, setPart] = useState<Part>()
  const choose = (one: Part) => () => setPart((before) => (before === one ? undefined : one))
  useKeys({ ...Object.fromEntries(parts.map((one, at) => [String(at + 1), choose(one)])), Escape: () => setPart(undefined) })
  const { wall } = seen
  if (seen.refused)
    return (
      <main className="wall message">
        <p role="alert">
          {say(t('大屏密钥无效或已停用，请重新打开大屏链接', 'The key of this screen does not exist or has ended: open its link again'))}
        </p>
      </main>
    )
  if (!wall)
    return <main className="wall message">{say(seen.fresh ? t('正在读取', 'Loading') : t('连不上中心', 'The hub cannot be reached'))}</main>
  const shown = (one: Part) => part === undefined || part === one
  return (
    <main className={part === undefined ? 'wall' : 'wall one'}>
      <h1 className="visually-hidden">{say(t('前置 · 政务数据共享平台', 'Qianzhi · data sharing'))}</h1>
      <Band wall={wall} at={new Date(now + seen.offset)} />
      <Stale seen={seen} now={now} />
      <div className="parts">
        {shown('duties') && <Duties duties={wall.duties} />}
        {shown('flows') && <Flows edges={wall.edges} />}
        {(shown('applications') || shown('corrections')) && (
          <div className="column">
            {shown('applications') && <Applications applications={wall.applications} now={wall.now} />}
            {shown('corrections') && <Corrections corrections={wall.corrections} />}
          </div>
        )}
      </div>
      <Happened seen={seen} />
    </main>
  )
}

/** Milliseconds of this machine's clock, each second. */
function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}

/** In red, as soon as a question was not answered. */
function Stale({ seen: { fresh, answered }, now }: { seen: Seen; now: number }) {
  const { say } = useWords()
  const minutes = Math.floor((now - answered) / 60_000)
  if (fresh && minutes < 1) return null
  return (
    <p className="stale" role="alert">
      {say(
        minutes < 1 ? t('数据未更新', 'Data are not brought up to date') : t(`数据已 ${minutes} 分钟未更新`, `Data are ${minutes} min old`),
      )}
    </p>
  )
}

function Band({ wall, at }: { wall: Wall; at: Date }) {
  const { say } = useWords()
  const { agencies, resources, age, edges } = wall
  const sum = (of: (edge: Flow) => number) => edges.reduce((total, edge) => total + of(edge), 0)
  const figures: [Text, string][] = [
    [t('已接入单位', 'agencies connected'), `${agencies.connected} / ${agencies.all}`],
    [t('资源', 'resources'), grouped(resources)],
    [t('链路', 'routes'), grouped(sum(({ routes }) => routes))],
    [t('停住', 'held'), grouped(sum(({ held }) => held))],
    [t('今日交换行数', 'rows today'), grouped(sum(({ today }) => today))],
    [t('每秒', 'a second'), (sum(({ minute }) => minute) / 60).toFixed(1)],
    [t('数据距今（中位 / 99%）', 'age of data (median / 99%)'), `${say(ageText(age.median))} / ${say(ageText(age.p99))}`],
  ]
  const [day, hour] = timeText(at.toISOString()).split(' ')
  return (
    <header className="band">
      <div>
        <strong>{say(t('前置 · 政务数据共享平台', 'Qianzhi · data sharing'))}</strong>
        <time dateTime={at.toISOString()}>
          {day} {hour}
        </time>
      </div>
      <dl>
        {figures.map(([name, value]) => (
          <div key={name.en} className={name.en === 'held' && value !== '0' ? 'bad' : ''}>
            <dt>{say(name)}</dt>
            <dd className="number">{value}</dd>
          </div>
        ))}
      </dl>
    </header>
  )
}

const grouped = (value: number): string => value.toLocaleString('en-US')

function Panel({ name, title, children }: { name: string; title: Text; children: ReactNode }) {
  const { say } = useWords()
  return (
    <section className={name} aria-label={say(title)}>
      <h2>{say(title)}</h2>
      {children}
    </section>
  )
}

const looks = { updated: 'proved', explained: 'act', excused: 'muted', overdue: 'bad' } as const

function Duties({ duties }: { duties: Wall['duties'] }) {
  const { say } = useWords()
  const all = (['updated', 'explained', 'excused', 'overdue'] as const).map((state) => ({
    name: valueText(state, 'state', 'duty', say),
    value: duties[state],
    look: looks[state],
  }))
  const most = Math.max(0, ...duties.worst.map(({ overdue }) => overdue))
  return (
    <Panel name="duties" title={t('本季度更新义务', 'Update duties of this quarter')}>
      <div className="beside">
        <Ring parts={all} words={all.map(({ name, value }) => `${name} ${value}`).join(', ')} />
        <dl className="legend">
          {all.map(({ name, value, look }) => (
            <div key={name}>
              <dt className={look}>{name}</dt>
              <dd className="number">{grouped(value)}</dd>
            </div>
          ))}
        </dl>
      </div>
      <h3>{say(t('逾期最多的单位', 'Most overdue'))}</h3>
      <ol>
        {duties.worst.map(({ agency, agencyName, overdue }) => (
          <li key={agency}>
            <span>{agencyName ?? agency}</span>
            <Bar value={overdue} most={most} look="bad" />
            <span className="number">{overdue}</span>
          </li>
        ))}
      </ol>
      {duties.worst.length === 0 && <p className="muted">{say(t('没有逾期', 'None is overdue'))}</p>}
    </Panel>
  )
}

/** As many of those that are held are named. */
const named = 6

function Flows({ edges }: { edges: readonly Flow[] }) {
  const { say } = useWords()
  const rails = useMemo(() => arrange(edges), [edges])
  const moving = useMoving()
  const held = edges.filter(({ state }) => state === 'held')
  return (
    <Panel name="rails" title={t('流向', 'Flows')}>
      <RailsMap rails={rails} chosen={undefined} moving={moving} least={700} />
      <ul className="held">
        {held.slice(0, named).map((edge) => (
          <li key={pair(edge)}>
            {'\u25b2'} {pair(edge)} {say(edge.turn)}
          </li>
        ))}
        {held.length > named && <li>{say(t(`另有 ${held.length - named} 对停住`, `and ${held.length - named} more held`))}</li>}
      </ul>
    </Panel>
  )
}

const pair = ({ provider, providerName, receiver, receiverName }: Flow): string =>
  `${providerName ?? provider} \u25b8 ${receiverName ?? receiver}`

function Applications({ applications: { waiting, overdue, meanDays, days: known }, now }: Pick<Wall, 'applications' | 'now'>) {
  const { say } = useWords()
  const none = { submitted: 0, approved: 0, rejected: 0 }
  const today = timeText(now).slice(0, 10)
  const first = new Date(Date.parse(`${today}T00:00:00Z`) - 29 * 86_400_000).toISOString().slice(0, 10)
  const days = daysBetween(first, today).map((day) => known.find((one) => one.day === day) ?? { day, ...none })
  const series = [
    { name: say(t('提交', 'submitted')), values: days.map(({ submitted }) => submitted), look: 'act' },
    { name: say(t('办结', 'decided')), values: days.map(({ approved, rejected }) => approved + rejected), look: 'proved' },
  ]
  const sum = (values: readonly number[]) => values.reduce((total, one) => total + one, 0)
  const words = series.map(({ name, values }) => `${name} ${sum(values)}`).join(', ')
  const figures: [Text, string, boolean][] = [
    [t('待办', 'waiting'), String(waiting), false],
    [t('超时', 'overdue'), String(overdue), overdue > 0],
    [t('平均办理工作日', 'mean working days'), meanDays === null ? '\u2014' : String(meanDays), false],
  ]
  return (
    <Panel name="applications" title={t('共享申请', 'Applications')}>
      <dl className="figures">
        {figures.map(([name, value, bad]) => (
          <div key={name.en} className={bad ? 'bad' : ''}>
            <dt>{say(name)}</dt>
            <dd className="number">{value}</dd>
          </div>
        ))}
      </dl>
      <h3>{say(t('近 30 日', 'In 30 days'))}</h3>
      <p className="legend">
        {series.map(({ name, values, look }) => (
          <span key={name} className={look}>
            {name} {sum(values)}
          </span>
        ))}
      </p>
      <Lines days={days.map(({ day }) => day)} series={series} words={words} wide={320} />
    </Panel>
  )
}

function Corrections({ corrections: { ended, all } }: { corrections: Wall['corrections'] }) {
  const { say } = useWords()
  const share = all === 0 ? '\u2014' : `${Math.round((ended / all) * 100)}%`
  return (
    <Panel name="corrections" title={t('本季度更正办结率', 'Corrections ended this quarter')}>
      <p className="share number">{share}</p>
      <p className="muted number">
        {ended} / {all}
      </p>
      <Bar value={ended} most={all} look="proved" />
      {all === 0 && <p className="muted">{say(t('本季度没有更正', 'None was reported'))}</p>}
    </Panel>
  )
}

/** What an act means for whom it names. */
const told: Readonly<Record<string, Text>> = {
  'registration.publish': t('发布资源', 'publishes'),
  'application.approve': t('获准共享', 'is granted'),
  'opening.release': t('向社会开放', 'open to everybody:'),
  'correction.close': t('更正办结', 'corrected:'),
  'standard.publish': t('发布数据标准', 'data standard published:'),
  'machine.approve': t('获准接入前置机', 'is given a machine:'),
}

interface Event {
  at: string
  words: string
  bad: boolean
}

/** What happened last, in words: decisions, and lines that stopped or go on. Never what stands in rows. */
function Happened({ seen: { wall, turned } }: { seen: Seen }) {
  const { say } = useWords()
  const today = wall ? timeText(wall.now).slice(0, 10) : ''
  const decided = (wall?.acts ?? []).map(({ at, act, title, agencyName }): Event => {
    const words = [agencyName, told[act] && say(told[act]), title && say(t(`《${title}》`, `"${title}"`))]
    return { at, words: words.filter(Boolean).join(' '), bad: false }
  })
  const lines = turned.map(({ at, edge }): Event => {
    const bad = edge.state === 'held' || edge.state === 'partial'
    return { at, words: `${pair(edge)} ${bad ? valueText(edge.state, 'state', 'line', say) : say(t('恢复', 'goes on'))}`, bad }
  })
  const all = [...decided, ...lines].toSorted((a, b) => (a.at < b.at ? 1 : -1)).slice(0, 8)
  return (
    <footer className="happened" aria-label={say(t('最近动态', 'What happened last'))}>
      {all.map(({ at, words, bad }) => (
        <span key={`${at} ${words}`} className={bad ? 'bad' : ''}>
          <time dateTime={at}>{timeText(at).slice(timeText(at).startsWith(today) ? 11 : 5)}</time> {words}
        </span>
      ))}
    </footer>
  )
}
