import type { WrittenColumn } from '../../../protocol/excel/write.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'
import type { Figures, Scores } from './figures.ts'
import { evaluationLines, requireEvaluation, type EvaluationLine } from './evaluation.ts'

/** An evaluation as a table for people, ready for a workbook: every figure stands beside the score. */
export interface EvaluationTable {
  title: LocalizedText
  columns: { zh: string; en: string; format: NonNullable<WrittenColumn['format']> }[]
  rows: (string | null)[][]
}

const figureNames: Record<keyof Figures, [zh: string, en: string]> = {
  resources: ['已发布资源数', 'Published resources'],
  items: ['信息项数', 'Items'],
  changedRows: ['提供变更行数', 'Changed rows supplied'],
  snapshotRows: ['提供全量行数', 'Snapshot rows supplied'],
  dutiesDue: ['应更新次数', 'Updates due'],
  dutiesUpdated: ['按时更新', 'Updated in time'],
  dutiesExplained: ['按时说明', 'Explained in time'],
  dutiesExplainedLate: ['逾期说明', 'Explained late'],
  dutiesOverdue: ['逾期', 'Overdue'],
  correctionsMet: ['校核按期', 'Corrections in time'],
  correctionsMissed: ['校核逾期', 'Corrections late'],
  repliesMet: ['答复按期', 'Replies in time'],
  repliesMissed: ['答复逾期', 'Replies late'],
  otherMet: ['其他事项按期', 'Other deadlines met'],
  otherMissed: ['其他事项逾期', 'Other deadlines missed'],
  grantsGiven: ['对外授权数', 'Grants given'],
  grantsTaken: ['获得授权数', 'Grants taken'],
  routesGiven: ['提供路由数', 'Routes given'],
  routesTaken: ['接收路由数', 'Routes taken'],
  rowsGiven: ['被交换行数', 'Rows delivered to others'],
  rowsTaken: ['接收行数', 'Rows received'],
  queriesAnswered: ['被查询和接口调用次数', 'Queries and API requests answered'],
  queriesMade: ['查询和接口调用次数', 'Queries and API requests made'],
  rowsShown: ['被查询和接口读取行数', 'Rows shown by query and API'],
  rowsRead: ['查询和接口读取行数', 'Rows read by query and API'],
}

const scoreNames: Record<keyof Scores, [zh: string, en: string]> = {
  quantity: ['数量得分', 'Quantity score'],
  timeliness: ['时效得分', 'Timeliness score'],
  use: ['使用得分', 'Use score'],
}

/** Throws QZ-NOT-FOUND. */
export async function evaluationTable(query: Query, id: string): Promise<EvaluationTable> {
  const { period, weights } = await requireEvaluation(query, id)
  const figures = Object.keys(figureNames) as (keyof Figures)[]
  const parts = Object.keys(scoreNames) as (keyof Scores)[]
  const text = (zh: string, en: string) => ({ zh, en, format: 'text' as const })
  const number = ([zh, en]: [string, string]) => ({ zh, en, format: 'number' as const })
  return {
    title: { zh: `${period} 政务信息资源共享评估`, en: `Evaluation ${period}` },
    columns: [
      text('机关单位代码', 'Agency code'),
      text('机关单位', 'Agency'),
      ...figures.map((key) => number(figureNames[key])),
      ...parts.map((key) => number([`${scoreNames[key][0]}（权重 ${weights[key]}）`, `${scoreNames[key][1]} (weight ${weights[key]})`])),
      number(['综合得分', 'Score']),
      text('改进意见', 'Advice'),
    ],
    rows: (await evaluationLines(query, id)).map((line) => rowOf(line, figures, parts)),
  }
}

/** What was not counted yet when the line was drawn up stays empty. */
function known(figure: number | undefined): number | null {
  return figure ?? null
}

function rowOf(line: EvaluationLine, figures: readonly (keyof Figures)[], parts: readonly (keyof Scores)[]): (string | null)[] {
  const numbers = [...figures.map((key) => known(line.figures[key])), ...parts.map((key) => line.scores[key]), line.score]
  return [line.agency, line.agencyName, ...numbers.map((value) => (value === null ? null : String(value))), line.advice]
}
