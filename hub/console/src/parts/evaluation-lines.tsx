/** The table of an evaluation 评估结果: rank, the three scores and what they were made from, advice. */
import { Button, Table } from 'antd'
import { useState } from 'react'
import { addressOf } from '../api.ts'
import { figureNames, scoreNames } from '../../../supervision/evaluation/figure-names.ts'
import { nameOf } from '../fields.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'
import { ActionDialog } from './action-dialog.tsx'
import { Bar } from './charts.tsx'

export interface EvaluationLine {
  agency: string
  agencyName: string
  figures: Readonly<Record<string, number>>
  scores: Readonly<Record<string, number | null>>
  score: number | null
  advice: string | null
}

interface LinesProps {
  id: string
  state: string
  revision: string | undefined
  lines: readonly EvaluationLine[]
}

const parts = Object.keys(scoreNames) as (keyof typeof scoreNames)[]

export default function EvaluationLines({ id, state, revision, lines }: LinesProps) {
  const { say } = useWords()
  const { can } = useSession()
  const [advised, setAdvised] = useState<EvaluationLine>()
  const ranked = lines.toSorted((a, b) => (b.score ?? -1) - (a.score ?? -1))
  const advises = state !== 'published' && can('evaluation.advise')
  return (
    <>
      <h2>
        {say(t('各单位得分', 'Scores'))}{' '}
        {can('evaluation.export') && (
          <a href={addressOf('evaluation.export', { at: { id } })} download>
            {say(t('导出通报表', 'Export'))}
          </a>
        )}
      </h2>
      <Table<EvaluationLine>
        size="small"
        rowKey="agency"
        dataSource={ranked}
        pagination={false}
        locale={{ emptyText: say(t('没有可评估的单位', 'There is no agency to be judged')) }}
        columns={[
          { title: say(t('名次', 'rank')), key: 'rank', render: (_, { score }, at) => (score === null ? '—' : at + 1) },
          {
            title: say(t('单位', 'agency')),
            render: (_, { agencyName, figures }) => (
              <details>
                <summary>{agencyName}</summary>
                <FiguresOf figures={figures} />
              </details>
            ),
          },
          {
            title: say(t('得分', 'score')),
            dataIndex: 'score',
            render: (score: number | null) => <strong className="number">{score ?? '—'}</strong>,
          },
          ...parts.map((part) => ({
            title: say(scoreNames[part]),
            key: part,
            render: (_: unknown, { scores }: EvaluationLine) => <Scored score={scores[part] ?? null} />,
          })),
          { title: say(nameOf('advice')), dataIndex: 'advice' },
          ...(advises
            ? [
                {
                  title: say(t('办理', 'acts')),
                  key: 'acts',
                  render: (_: unknown, line: EvaluationLine) => (
                    <Button
                      size="small"
                      aria-label={`${say(t('写改进意见', 'Advise'))} ${line.agencyName}`}
                      onClick={() => setAdvised(line)}
                    >
                      {say(t('写改进意见', 'Advise'))}
                    </Button>
                  ),
                },
              ]
            : []),
        ]}
      />
      {advised && (
        <ActionDialog
          name="evaluation.advise"
          at={{ id }}
          title={advised.agencyName}
          seen={revision}
          fixed={{ agency: advised.agency }}
          initial={{ advice: advised.advice ?? '' }}
          close={() => setAdvised(undefined)}
        />
      )}
    </>
  )
}

function Scored({ score }: { score: number | null }) {
  if (score === null) return <>—</>
  return (
    <span className="measured narrow">
      <span className="number">{score}</span>
      <Bar value={score} most={100} look="act" />
    </span>
  )
}

function FiguresOf({ figures }: { figures: Readonly<Record<string, number>> }) {
  const { say } = useWords()
  return (
    <dl className="facts">
      {Object.entries(figures).flatMap(([name, figure]) => [
        <dt key={`${name} name`}>{say(figureNames[name as keyof typeof figureNames] ?? t(name, name))}</dt>,
        <dd key={name} className="number">
          {figure}
        </dd>,
      ])}
    </dl>
  )
}
