import { pageOf, queryOf } from '../records/listing.ts'
import { Type } from 'typebox'
import { writeWorkbook } from '../../protocol/excel/write.ts'
import {
  advise,
  drawUp,
  evaluationLines,
  freeze,
  evaluationList,
  listEvaluations,
  publish,
  requireEvaluation,
} from '../supervision/evaluation/evaluation.ts'
import { evaluationTable } from '../supervision/evaluation/table.ts'
import { edit, reading } from './events.ts'
import { excelType, FileAnswer, operation, type Operation } from './operation.ts'
import { AgencyCode, ById, closed, NoBody, nullable } from './shapes.ts'

const Evaluation = Type.Object({
  id: Type.String(),
  period: Type.String(),
  starts: Type.String(),
  ends: Type.String(),
  state: Type.Enum(['draft', 'frozen', 'published']),
  weights: Type.Record(Type.String(), Type.Number()),
  drawnAt: Type.String(),
  frozenAt: nullable(Type.String()),
  publishedAt: nullable(Type.String()),
})

const Line = Type.Object({
  agency: Type.String(),
  agencyName: Type.String(),
  figures: Type.Record(Type.String(), Type.Number()),
  scores: Type.Record(Type.String(), nullable(Type.Number())),
  score: nullable(Type.Number()),
  advice: nullable(Type.String()),
})

const Period = Type.Object({ period: Type.String({ pattern: '^20\\d\\d(?:-Q[1-4])?$' }) }, closed)
const Advice = Type.Object({ agency: AgencyCode, advice: Type.String({ maxLength: 4000 }) }, closed)

/** The periodic evaluation of agencies 评估 (Art. 24). */
export const evaluationOperations: readonly Operation[] = [
  operation({
    name: 'evaluation.list',
    method: 'GET',
    path: '/evaluations',
    text: { zh: '评估列表', en: 'evaluations' },
    query: queryOf(evaluationList),
    answer: pageOf(Evaluation),
    run: ({ registry, agencyScope, query }) => listEvaluations(registry.store.query, agencyScope !== null, query),
  }),
  reading({
    name: 'evaluation.read',
    method: 'GET',
    path: '/evaluations/:id',
    objectKind: 'evaluation',
    text: { zh: '查看评估结果', en: 'an evaluation with its lines' },
    answer: Type.Object({ ...Evaluation.properties, lines: Type.Array(Line) }),
    run: async ({ registry: { store }, params: { id } }) => ({
      ...(await requireEvaluation(store.query, id)),
      lines: await evaluationLines(store.query, id),
    }),
  }),
  operation({
    name: 'evaluation.draw-up',
    method: 'POST',
    path: '/evaluations',
    text: { zh: '汇总评估（固定前可重复）', en: 'draw up the evaluation of a period, as often as wanted' },
    body: Period,
    answer: Evaluation,
    example: { period: '2026-Q4' },
    run: ({ registry, principal, body }) => drawUp(registry, principal, body.period),
  }),
  edit({
    name: 'evaluation.advise',
    method: 'POST',
    path: '/evaluations/:id/advise',
    objectKind: 'evaluation',
    text: { zh: '写改进意见', en: 'write advice to an agency' },
    params: ById,
    body: Advice,
    answer: Type.Object({}),
    example: { agency: 'civil', advice: '请按时更新村居名录' },
    run: ({ registry, principal, params, body }) => advise(registry, principal, params.id, body.agency, body.advice),
  }),
  edit({
    name: 'evaluation.freeze',
    method: 'POST',
    path: '/evaluations/:id/freeze',
    objectKind: 'evaluation',
    text: { zh: '固定评估结果', en: 'fix the table for ever' },
    params: ById,
    body: NoBody,
    answer: Evaluation,
    run: ({ registry, principal, params }) => freeze(registry, principal, params.id),
  }),
  edit({
    name: 'evaluation.publish',
    method: 'POST',
    path: '/evaluations/:id/publish',
    objectKind: 'evaluation',
    text: { zh: '公布评估结果和改进意见', en: 'publish' },
    params: ById,
    body: NoBody,
    answer: Evaluation,
    run: ({ registry, principal, params }) => publish(registry, principal, params.id),
  }),
  operation({
    name: 'evaluation.export',
    method: 'GET',
    path: '/evaluations/:id/export',
    objectKind: 'evaluation',
    text: { zh: '导出通报表（EXCEL）', en: 'the table that goes round, as Excel' },
    params: ById,
    run: async ({ registry, params }) => {
      const { title, columns, rows } = await evaluationTable(registry.store.query, params.id)
      const sheet = { name: title.zh, columns: columns.map(({ zh, en, format }) => ({ header: `${zh} ${en}`, format })), rows }
      return new FileAnswer(`${title.zh}.xlsx`, excelType, await writeWorkbook({ sheets: [sheet] }))
    },
  }),
]
