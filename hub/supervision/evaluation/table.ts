import type { WrittenColumn } from '../../../protocol/excel/write.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'
import { figureNames, scoreNames } from './figure-names.ts'
import type { Figures, Scores } from './figures.ts'
import { evaluationLines, requireEvaluation, type EvaluationLine } from './evaluation.ts'

/** An evaluation as a table for people, ready for a workbook: every figure stands beside the score. */
export interface EvaluationTable {
  title: LocalizedText
  columns: { zh: string; en: string; format: NonNullable<WrittenColumn['format']> }[]
  rows: (string | null)[][]
}

const names: Record<keyof Figures, LocalizedText> = figureNames
const namesOfScores: Record<keyof Scores, LocalizedText> = scoreNames

/** Throws QZ-NOT-FOUND. */
export async function evaluationTable(query: Query, id: string): Promise<EvaluationTable> {
  const { period, weights } = await requireEvaluation(query, id)
  const figures = Object.keys(names) as (keyof Figures)[]
  const parts = Object.keys(namesOfScores) as (keyof Scores)[]
  const text = (zh: string, en: string) => ({ zh, en, format: 'text' as const })
  const number = (name: LocalizedText) => ({ ...name, format: 'number' as const })
  return {
    title: { zh: `${period} 政务信息资源共享评估`, en: `Evaluation ${period}` },
    columns: [
      text('机关单位代码', 'Agency code'),
      text('机关单位', 'Agency'),
      ...figures.map((key) => number(names[key])),
      ...parts.map((key) =>
        number({ zh: `${namesOfScores[key].zh}（权重 ${weights[key]}）`, en: `${namesOfScores[key].en} (weight ${weights[key]})` }),
      ),
      number({ zh: '综合得分', en: 'Score' }),
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
