import workflows from 'virtual:qianzhi-workflows'
import { useEffect } from 'react'
import { Link, useLocation } from 'react-router'
import { comma } from '../fields.ts'
import { anchorOf } from '../help/anchor.ts'
import { manual } from '../help/manual.ts'
import type { Job, Section } from '../help/section.ts'
import { roles, states } from '../meta.ts'
import { Chain, type ChainLine } from '../parts/chain.tsx'
import { Ruler } from '../parts/ruler.tsx'
import { Seal } from '../parts/seal.tsx'
import { Strip } from '../parts/strip.tsx'
import { StateWord } from '../parts/value.tsx'
import { groups, places } from '../places.ts'
import { t, useWords } from '../words.tsx'
import '../style/manual.css'

/** The manual: one page, so that the browser's own search finds everything in it. */
export default function HelpPage() {
  const { say } = useWords()
  const { hash } = useLocation()
  useEffect(() => {
    document.getElementById(decodeURIComponent(hash.slice(1)))?.scrollIntoView()
  }, [hash])
  return (
    <div className="manual">
      <nav aria-label={say(t('目次', 'Contents'))}>
        <ul className="plain">
          <li>
            <Link to="/help#signs">{say(t('四种标记', 'The four signs'))}</Link>
          </li>
          <li>
            <Link to="/help#keys">{say(t('键盘', 'Keys'))}</Link>
          </li>
        </ul>
        {manual.map(({ name, sections }) => (
          <section key={name.en}>
            <h2>{say(name)}</h2>
            <ul className="plain">
              {sections.map((section) => (
                <li key={section.path}>
                  <Link to={`/help#${anchorOf(`/${section.path}`)}`}>{say(titleOf(section))}</Link>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </nav>
      <div>
        <h1>{say(t('帮助', 'Help'))}</h1>
        <p className="muted">
          {say(
            t(
              '每个页面上方的“?”都通到这里的对应一节。按 Ctrl+F 可在全文中查找。',
              'The “?” at the top of each page leads to its section. Ctrl+F searches all of it.',
            ),
          )}
        </p>
        <Signs />
        <Keys />
        {manual
          .flatMap(({ sections }) => sections)
          .map((section) => (
            <Shown key={section.path} section={section} />
          ))}
      </div>
    </div>
  )
}

/** As the navigation calls it. */
const named = new Map(groups.flatMap(({ pages = [], places }) => [...pages, ...places].map(({ path, name }) => [path, name] as const)))
const titleOf = ({ path, name }: Section) => name ?? named.get(path)!

function Shown({ section }: { section: Section }) {
  const { say } = useWords()
  const kind = places.find(({ path }) => path === section.path)?.kind
  return (
    <section id={anchorOf(`/${section.path}`)} tabIndex={-1}>
      <h2>
        <Link to={`/${section.path}`}>{say(titleOf(section))}</Link>
      </h2>
      <p>{say(section.purpose)}</p>
      {section.jobs.map((job) => (
        <Steps key={job.name.en} job={job} />
      ))}
      {kind !== undefined && workflows[kind] && <States kind={kind} />}
    </section>
  )
}

function Steps({ job: { name, steps } }: { job: Job }) {
  const { say } = useWords()
  return (
    <>
      <h3>{say(name)}</h3>
      <ol>
        {steps.map((step) => (
          <li key={step.en}>{say(step)}</li>
        ))}
      </ol>
    </>
  )
}

/** What the states of a kind mean: what may happen in each, by whom, and what comes of it. */
function States({ kind }: { kind: string }) {
  const { say } = useWords()
  const events = workflows[kind]!
  const words = (state: string) => say(states[kind]?.[state] ?? { zh: state, en: state })
  return (
    <details>
      <summary>{say(t('各状态的含义', 'What the states mean'))}</summary>
      <dl className="facts">
        {Object.keys(states[kind] ?? {}).flatMap((state) => [
          <dt key={state}>
            <StateWord state={state} text={words(state)} />
          </dt>,
          <dd key={`${state} next`}>
            {events
              .filter(({ from }) => from.includes(state))
              .map(({ text, to, by }) => {
                const who = by.map((role) =>
                  role === 'hub' ? say(t('平台自动', 'by itself')) : say(roles[role] ?? { zh: role, en: role }),
                )
                return `${say(text)} \u25b8 ${words(to)} (${who.join(say(comma))})`
              })
              .join('\n') || say(t('到此结束', 'nothing follows'))}
          </dd>,
        ])}
      </dl>
    </details>
  )
}

const line = (state: string, at: string | null): ChainLine => ({
  kind: 'route',
  state,
  at,
  provider: '',
  receiver: '',
  waiting: 0,
  behind: 0,
  lastPush: null,
  age: 60,
  turn: t('无需处理', 'nothing has to be done'),
})

function Signs() {
  const { say } = useWords()
  const items = (['public', 'internal', 'internal', 'closed'] as const).map((openness, at) => ({ id: String(at), label: '', openness }))
  return (
    <section id="signs" tabIndex={-1}>
      <h2>{say(t('四种标记', 'The four signs'))}</h2>
      <dl className="facts">
        <dt>
          {say(t('链路条', 'Line'))} <Chain line={line('held', 'hub')} />
        </dt>
        <dd>
          {say(
            t(
              '三段依次是提供、平台、获取。红色带横线的一段停住了；赭色的一段部分未到；斜线的一段情况不明；全空为正常。',
              'Provider, hub, receiver. A red segment with a bar holds the line up; an ochre one is not complete; a hatched one is not known; all empty means that it flows.',
            ),
          )}
        </dd>
        <dt>
          {say(t('期限尺', 'Deadline'))} <Ruler deadline={{ due: '', daysLeft: 4, missed: false }} />
        </dt>
        <dd>
          {say(
            t(
              '一格是一个工作日，深色的格是剩下的日子；临近期限为赭色；红色带三角的已经逾期，格数是逾期的工作日。',
              'A tick is a working day, the dark ones are left; ochre means soon; red with a triangle is overdue by as many working days.',
            ),
          )}
        </dd>
        <dt>
          {say(t('公开条', 'Openness'))} <Strip items={items} />
        </dt>
        <dd>
          {say(
            t(
              '一格是一个信息项：实心的对外公开，空心的对内共享，打叉的不公开。',
              'A cell is an item: filled for everybody, outlined for agencies, crossed for nobody.',
            ),
          )}
        </dd>
        <dt>
          {say(t('印记', 'Seal'))} <Seal whole text={t('一致', 'whole')} /> <Seal whole={false} text={t('不一致', 'not whole')} />
        </dt>
        <dd>
          {say(
            t(
              '方印表示签名并校验过，如回执、对账一致、审计全链一致；印裂为两半的不一致，旁边写明在哪里。',
              'A whole seal: signed and verified, such as a receipt, a reconciliation or the audit; split in two: it does not hold, and where is said beside it.',
            ),
          )}
        </dd>
      </dl>
      <p>
        {say(t('状态前的图形：', 'The shape before a state: '))}
        <StateWord state="active" text={say(t('完成或正常', 'done, or well'))} />{' '}
        <StateWord state="reviewing" text={say(t('办理中', 'under way'))} />{' '}
        <StateWord state="draft" text={say(t('草稿或不明', 'a draft, or not known'))} />{' '}
        <StateWord state="rejected" text={say(t('已结束或被拒', 'over, or refused'))} />{' '}
        <StateWord state="held" text={say(t('停住或逾期', 'held, or overdue'))} />
      </p>
    </section>
  )
}

const keys: readonly (readonly [string, ReturnType<typeof t>])[] = [
  ['/', t('检索', 'search')],
  ['j  k', t('工作台：下一行、上一行', 'on the desk: next and previous line')],
  ['Enter', t('打开选中的一行；在对话框中确认', 'open the line; in a dialog: confirm')],
  ['a', t('事项页：办理（批准、同意、发布等）', 'on a case: go on (approve, consent, publish)')],
  ['r', t('事项页：退回、驳回', 'on a case: send back, reject')],
  ['?', t('本页的帮助', 'help for this page')],
  ['Esc', t('关闭对话框', 'close a dialog')],
]

function Keys() {
  const { say } = useWords()
  return (
    <section id="keys" tabIndex={-1}>
      <h2>{say(t('键盘', 'Keys'))}</h2>
      <dl className="facts">
        {keys.flatMap(([key, words]) => [
          <dt key={key}>
            <kbd>{key}</kbd>
          </dt>,
          <dd key={`${key} does`}>{say(words)}</dd>,
        ])}
      </dl>
    </section>
  )
}
