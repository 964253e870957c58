import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Principal } from '../../access/principal.ts'
import { change, type Registry } from '../../records/registry.ts'
import type { Query } from '../../store/store.ts'
import { addDays, endOf, type Day } from '../../records/calendar.ts'
import { judgedTo } from '../duties/facts.ts'
import { firstDayOfQuarter } from '../duties/periods.ts'
import { countFigures, scoreAll, type Figures, type Scores } from './figures.ts'
import { notify } from '../../records/notices.ts'
import { weightsAt, type Weights } from '../../records/settings.ts'
import { notFound, wrongState } from '../../records/refusals.ts'
import { record } from '../../records/history.ts'

/** 草稿, 已固定, 已公布 */
export const evaluationStates = ['draft', 'frozen', 'published'] as const
export type EvaluationState = (typeof evaluationStates)[number]

/** The evaluation of all agencies in a quarter or a year (Art. 24). */
export interface Evaluation {
  id: string
  /** `2026-Q4` or `2026` */
  period: string
  starts: Day
  ends: Day
  state: EvaluationState
  weights: Weights
  drawnAt: Date
  frozenAt: Date | null
  publishedAt: Date | null
}

export interface EvaluationLine {
  agency: string
  agencyName: string
  figures: Figures
  scores: Scores
  score: number | null
  /** 改进意见 */
  advice: string | null
}

/** First and last day of `2026-Q4` or `2026`. Throws QZ-REQUEST-INVALID. */
export function evaluationDays(period: string): { starts: Day; ends: Day } {
  const [, year, quarter] = /^(20\d\d)(?:-Q([1-4]))?$/.exec(period) ?? []
  if (year === undefined)
    throw new QianzhiError('QZ-REQUEST-INVALID', {
      reason: { zh: `期间 ${period.slice(0, 40)} 应形如 2026-Q4 或 2026`, en: `period ${period.slice(0, 40)} is not like 2026-Q4 or 2026` },
    })
  if (quarter === undefined) return { starts: `${year}-01-01`, ends: `${year}-12-31` }
  const starts = firstDayOfQuarter(year, Number(quarter))
  const next = addDays(starts, 93).slice(0, 7)
  return { starts, ends: addDays(`${next}-01`, -1) }
}

/** Computes the period's table from the data as they are, anew as often as wanted, until it is frozen (then QZ-STATE). */
export async function drawUp(registry: Registry, principal: Principal, period: string): Promise<Evaluation> {
  const { starts, ends } = evaluationDays(period)
  return change(registry, async (query) => {
    const weights = await weightsAt(query, endOf(ends))
    await query('select pg_advisory_xact_lock(hashtext($1))', [`evaluation ${period}`])
    const [kept] = await query<{ id: string }>('select id from evaluation where period = $1', [period])
    if (kept) await requireState(query, kept.id, 'draft', 'draw-up')
    const [drawn] = await query<{ id: string }>(
      `insert into evaluation (period, starts, ends, weights, drawn_at, drawn_by) values ($1, $2, $3, $4, $5, $6)
       on conflict (period) do update set weights = excluded.weights, drawn_at = excluded.drawn_at, drawn_by = excluded.drawn_by returning id`,
      [period, starts, ends, JSON.stringify(weights), registry.clock(), principal.actor],
    )
    await writeLines(query, drawn!.id, { starts, ends, weights })
    await onRecord(registry, query, {
      principal,
      event: 'draw-up',
      id: drawn!.id,
      from: kept ? 'draft' : null,
      to: 'draft',
      input: { period },
    })
    return requireEvaluation(query, drawn!.id)
  })
}

async function writeLines(
  query: Query,
  id: string,
  { starts, ends, weights }: Pick<Evaluation, 'starts' | 'ends' | 'weights'>,
): Promise<void> {
  await query('delete from evaluation_line where evaluation = $1', [id])
  const lines = scoreAll(await countFigures(query, starts, ends), weights)
  await query(
    `insert into evaluation_line (evaluation, agency, agency_name, figures, scores, score)
     select $1, agency, name, figures, scores, score
     from jsonb_to_recordset($2::jsonb) as l(agency text, name text, figures jsonb, scores jsonb, score numeric)`,
    [id, JSON.stringify(lines)],
  )
}

/**
 * Fixes the table for ever. Throws QZ-STATE where it is frozen, QZ-RULE where the period, or what is to be judged of it, was not over when
 * the table was drawn up.
 */
export async function freeze(registry: Registry, principal: Principal, id: string): Promise<Evaluation> {
  return change(registry, async (query) => {
    const { ends, drawnAt } = await requireState(query, id, 'draft', 'freeze')
    if (drawnAt < endOf(ends) || (await judgedLater(query, ends, drawnAt))) {
      const reason = {
        zh: `考核期至 ${ends} 尚未结束，请结束后重新汇总`,
        en: `the period lasts until ${ends}: draw it up again when it is over`,
      }
      throw new QianzhiError('QZ-RULE', { reason })
    }
    await query(`update evaluation set state = 'frozen', frozen_at = $2, frozen_by = $3 where id = $1`, [
      id,
      registry.clock(),
      principal.actor,
    ])
    await onRecord(registry, query, { principal, event: 'freeze', id, from: 'draft', to: 'frozen' })
    return requireEvaluation(query, id)
  })
}

/** Whether duties of the period were judged only after the table was drawn up, or are still to be judged. */
async function judgedLater(query: Query, ends: Day, drawnAt: Date): Promise<boolean> {
  const judged = await judgedTo(query)
  const later = await query(
    `select from duty_mark where ends = $1::date and at > $2 and mark in ('updated', 'overdue', 'excused') limit 1`,
    [ends, drawnAt],
  )
  return later.length > 0 || (judged !== null && judged < ends)
}

/** Writes the advice 改进意见 to one agency; an empty one is taken back. Throws QZ-STATE where it is published, QZ-NOT-FOUND. */
export async function advise(registry: Registry, principal: Principal, id: string, agency: string, advice: string): Promise<void> {
  await change(registry, async (query) => {
    const { state, period } = await lockEvaluation(query, id)
    if (state === 'published') throw notNow(id, state, 'advise')
    const [line] = await query('select from evaluation_line where evaluation = $1 and agency = $2', [id, agency])
    if (!line) throw notFound('evaluation', `${period} ${agency}`)
    if (advice === '') await query('delete from evaluation_advice where evaluation = $1 and agency = $2', [id, agency])
    else {
      await query(
        `insert into evaluation_advice (evaluation, agency, advice, written_by, written_at) values ($1, $2, $3, $4, $5)
         on conflict (evaluation, agency) do update
         set advice = excluded.advice, written_by = excluded.written_by, written_at = excluded.written_at`,
        [id, agency, advice, principal.actor, registry.clock()],
      )
    }
    await onRecord(registry, query, { principal, event: 'advise', id, from: state, to: state, input: { agency, advice } })
  })
}

/** Shows a frozen table and its advice to every agency, and tells them. Throws QZ-STATE. */
export async function publish(registry: Registry, principal: Principal, id: string): Promise<Evaluation> {
  return change(registry, async (query) => {
    const { period } = await requireState(query, id, 'frozen', 'publish')
    await query(`update evaluation set state = 'published', published_at = $2, published_by = $3 where id = $1`, [
      id,
      registry.clock(),
      principal.actor,
    ])
    await onRecord(registry, query, { principal, event: 'publish', id, from: 'frozen', to: 'published' })
    await notify(query, {
      to: [{ role: 'registrar' }, { role: 'reviewer' }, { role: 'supervisor' }],
      kind: 'evaluation-published',
      object: `evaluation ${id}`,
      zh: `${period} 政务信息资源共享评估结果和改进意见已公布`,
      en: `The evaluation of ${period} and the advice are published`,
    })
    return requireEvaluation(query, id)
  })
}

const columns = `select id, period, starts::text, ends::text, state, weights, drawn_at as "drawnAt", frozen_at as "frozenAt",
  published_at as "publishedAt" from evaluation`

/** Only what everybody may see where $1. */
export const evaluationList = {
  select: `select * from (${columns}) e where e.state = 'published' or not $1`,
  filters: { state: filter.among('state', evaluationStates), text: filter.holds('id', 'period') },
  sorts: { ends: 'date', period: 'text', state: 'text', drawnAt: 'timestamptz', publishedAt: 'timestamptz' },
  first: '-ends',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listEvaluations(query: Query, published: boolean, asked: Asked): Promise<Page<Evaluation>> {
  return listPage(query, evaluationList, [published], asked)
}

/** Throws QZ-NOT-FOUND. */
export async function requireEvaluation(query: Query, id: string): Promise<Evaluation> {
  const [evaluation] = await query<Evaluation>(`${columns} where id::text = $1`, [id])
  if (!evaluation) throw notFound('evaluation', id)
  return evaluation
}

/** The best score first. */
export async function evaluationLines(query: Query, id: string): Promise<EvaluationLine[]> {
  const rows = await query<Omit<EvaluationLine, 'score'> & { score: string | null }>(
    `select l.agency, l.agency_name as "agencyName", l.figures, l.scores, l.score, a.advice
     from evaluation_line l left join evaluation_advice a on a.evaluation = l.evaluation and a.agency = l.agency
     where l.evaluation::text = $1 order by l.score desc nulls last, l.agency`,
    [id],
  )
  return rows.map((row) => ({ ...row, score: row.score === null ? null : Number(row.score) }))
}

async function lockEvaluation(query: Query, id: string): Promise<Evaluation> {
  await query('select from evaluation where id::text = $1 for no key update', [id])
  return requireEvaluation(query, id)
}

async function requireState(query: Query, id: string, wanted: EvaluationState, event: string): Promise<Evaluation> {
  const evaluation = await lockEvaluation(query, id)
  if (evaluation.state !== wanted) throw notNow(id, evaluation.state, event)
  return evaluation
}

const stateNames: Record<EvaluationState, LocalizedText> = {
  draft: { zh: '草稿', en: 'draft' },
  frozen: { zh: '已固定', en: 'frozen' },
  published: { zh: '已公布', en: 'published' },
}

function notNow(id: string, state: EvaluationState, event: string): QianzhiError {
  return wrongState('evaluation', id, stateNames[state], `evaluation.${event}`)
}

interface Act {
  principal: Principal
  event: string
  id: string
  from: EvaluationState | null
  to: EvaluationState
  input?: Record<string, unknown>
}

/** In its history, which its paper shows, and in the audit. */
function onRecord({ clock }: Registry, query: Query, { id, input = {}, ...act }: Act): Promise<void> {
  return record(query, { workflow: 'evaluation', object: id, input, now: clock(), ...act })
}
