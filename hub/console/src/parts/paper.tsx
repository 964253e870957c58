/** A case as it is put on paper, to be signed and stamped: A4, nothing of the screen around it. */
import { useQuery } from '@tanstack/react-query'
import { call } from '../api.ts'
import { nameOf, plain, valueText } from '../fields.ts'
import { acts, roles, type Text } from '../meta.ts'
import { t, timeText, useWords } from '../words.tsx'
import type { Item } from './items.tsx'
import { Seal, sealOf } from './seal.tsx'
import '../style/paper.css'

type Line = Readonly<Record<string, unknown>>

interface Form {
  title: Text | ((read: Line) => Text)
  /** Members that stand in its table, in this order. */
  members: readonly string[]
  /** Who signs and stamps it. */
  signs: readonly Text[]
}

const office = t('市电子政务办', "the city's office")

/** The four papers of the regulation. */
export const papers: Readonly<Record<string, Form>> = {
  application: {
    title: t('政务信息资源共享申请表', 'Application for shared data'),
    members: [
      'agency',
      'title',
      'provider',
      'mode',
      'purpose',
      'basis',
      'agent',
      'until',
      'atEnd',
      'submitted',
      'state',
      'approvedUntil',
      'reason',
    ],
    signs: [t('申请单位', 'applicant'), t('提供单位', 'provider'), office],
  },
  order: {
    title: t('责令改正通知书', 'Rectification order'),
    members: ['agency', 'resource', 'period', 'cause', 'text', 'due', 'issuer', 'created', 'state', 'answer', 'result'],
    signs: [t('签发机关', 'issued by'), t('被责令单位（签收）', 'received by')],
  },
  declaration: {
    title: ({ kind }) =>
      kind === 'no-change'
        ? t('数据没有变化的书面说明', 'Declaration that nothing changed')
        : kind === 'cannot-supply'
          ? t('不能提供政务信息的报告', 'Report that data cannot be supplied')
          : t('不可抗力通知', 'Notice of force majeure'),
    members: ['agency', 'resource', 'period', 'text', 'basis', 'measures', 'until', 'draftedBy', 'signedBy', 'signedAt', 'state', 'result'],
    signs: [t('单位负责人', 'responsible person'), t('单位（盖章）', 'agency (stamp)')],
  },
  evaluation: {
    title: t('政务信息资源共享评估结果', 'Evaluation of data sharing'),
    members: ['period', 'starts', 'ends', 'state', 'publishedAt'],
    signs: [office],
  },
}

interface Step {
  event: string
  to: string
  actorName: string
  agencyName: string | null
  at: string
  details?: Record<string, unknown>
}

interface PaperProps {
  kind: string
  id: string
  read: Line
  /** Of the resource that it is about, as the catalog calls them. */
  items: readonly Item[]
}

export default function Paper({ kind, id, read, items }: PaperProps) {
  const { say } = useWords()
  const { title, members, signs } = papers[kind]!
  const { data } = useQuery({
    queryKey: ['history of', kind, id],
    queryFn: ({ signal }) => call<{ items: Step[] }>('history.read', { at: { kind, object: id }, signal }),
  })
  const resource = plain(read['resource'])
  const entry = useQuery({
    queryKey: ['object', 'resource', resource],
    queryFn: ({ signal }) => call<{ agencyName: string; schema: { title: string } }>('resource.read', { at: { id: resource }, signal }),
    enabled: resource !== '',
  })
  const named: Line = { ...read, providerName: entry.data?.agencyName, resourceName: entry.data?.schema.title }
  const asked = itemsOf(read['items'], items)
  return (
    <article className="paper" aria-label={say(t('打印件', 'on paper'))}>
      <h1>{say(typeof title === 'function' ? title(read) : title)}</h1>
      <p className="number">
        {say(t('编号', 'No.'))} {plain(read['period']) !== '' && kind === 'evaluation' ? plain(read['period']) : id}
      </p>
      <table>
        <tbody>
          {members.map((member) => {
            const text = textOf(named, member, kind, say)
            return text === undefined ? null : (
              <tr key={member}>
                <th>{say(nameOf(member))}</th>
                <td>{text}</td>
              </tr>
            )
          })}
          {asked.length > 0 && (
            <tr>
              <th>{say(nameOf('items'))}</th>
              <td>{asked.map((item) => `${item.label}（${valueText(item.openness, 'openness', undefined, say)}）`).join('、')}</td>
            </tr>
          )}
          {Array.isArray(read['approvedItems']) && (
            <tr>
              <th>{say(nameOf('approvedItems'))}</th>
              <td>
                {itemsOf(read['approvedItems'], items)
                  .map(({ label }) => label)
                  .join('、')}
              </td>
            </tr>
          )}
        </tbody>
      </table>
      {Array.isArray(read['lines']) && <Scores lines={read['lines'] as Line[]} />}
      <Course kind={kind} steps={data?.items ?? []} />
      <div className="signs">
        {signs.map((who) => (
          <div key={who.en}>
            <p>{say(who)}</p>
            <p>{say(t('经办人（签字）：', 'signature:'))}</p>
            <p>{say(t('（盖章）', '(stamp)'))}</p>
            <p className="day">{say(t('　　年　　月　　日', 'date:'))}</p>
          </div>
        ))}
      </div>
    </article>
  )
}

/** What happened, by whom and when 流程表; nothing of what has no history of its own. */
function Course({ kind, steps }: { kind: string; steps: readonly Step[] }) {
  const { say } = useWords()
  if (steps.length === 0) return null
  return (
    <>
      <h2>{say(t('办理流程', 'Course of the matter'))}</h2>
      <table>
        <thead>
          <tr>
            {[t('时间', 'time'), t('环节', 'step'), t('办理人', 'person'), t('单位', 'agency'), t('意见', 'remark')].map((name) => (
              <th key={name.en}>{say(name)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {steps.map((step, at) => (
            <tr key={`${step.at}${at}`}>
              <td className="number">{timeText(step.at)}</td>
              <td>
                {say(acts[`${kind}.${step.event}`] ?? t('建立', 'made'))} <SealOf kind={kind} step={step} />
              </td>
              <td>{step.actorName}</td>
              <td>{step.agencyName}</td>
              <td>{plain(step.details?.['reason'])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

function SealOf({ kind, step }: { kind: string; step: Step }) {
  const seal = sealOf(kind, step)
  return seal ? <Seal {...seal} /> : null
}

function itemsOf(ids: unknown, items: readonly Item[]): Pick<Item, 'label' | 'openness'>[] {
  if (!Array.isArray(ids)) return []
  return ids.map((id) => items.find((item) => item.id === id) ?? { label: plain(id), openness: 'internal' })
}

/** Undefined where there is nothing to be written. */
function textOf(read: Line, member: string, kind: string, say: (text: Text) => string): string | undefined {
  const name = read[`${member}Name`]
  if (typeof name === 'string') return name
  const value = read[member]
  if (value === null || value === undefined || value === '') return undefined
  if (member === 'issuer' && roles[plain(value)]) return say(roles[plain(value)]!)
  return valueText(value, member, kind, say)
}

function Scores({ lines }: { lines: readonly Line[] }) {
  const { say } = useWords()
  const ranked = lines.toSorted((a, b) => Number(b['score'] ?? -1) - Number(a['score'] ?? -1))
  return (
    <table>
      <thead>
        <tr>
          {[t('名次', 'rank'), t('单位', 'agency'), t('得分', 'score'), t('改进意见', 'advice')].map((name) => (
            <th key={name.en}>{say(name)}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {ranked.map((line, at) => (
          <tr key={plain(line['agency'])}>
            <td className="number">{line['score'] === null ? '' : at + 1}</td>
            <td>{plain(line['agencyName'])}</td>
            <td className="number">{line['score'] === null ? '\u2014' : plain(line['score'])}</td>
            <td>{plain(line['advice'])}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
