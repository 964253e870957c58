import { t } from '../words.tsx'
import { job, type Section } from './section.ts'

export const supervision: readonly Section[] = [
  {
    path: 'board',
    purpose: t(
      '更新监督：每个单位、每个期间有多少义务待更新、已更新、已说明、逾期。',
      'How the duties of each agency stand in each period: due, updated, explained, overdue.',
    ),
    jobs: [
      job(
        t('督促', 'Press for it'),
        ['点一格，列出其中的义务。', 'Choose a cell: its duties are listed.'],
        [
          '对逾期未说明的签发责令改正，单位、资源和情形已填好。',
          'Order what is overdue to be put right: agency, resource and cause are filled in.',
        ],
      ),
    ],
  },
  {
    path: 'statistics',
    purpose: t(
      '提供、交付、申请和更新义务的数字，按日期或单位汇总。',
      'Figures of supply, delivery, applications and duties, by day or agency.',
    ),
    jobs: [],
  },
  {
    path: 'deadlines',
    purpose: t(
      '各类办理时限：从何时起算、到何时、剩余工作日、是否逾期。法定节假日不计，调休上班日计入。',
      'Deadlines: from when, until when, working days left, missed or not. Holidays do not count, make-up days do.',
    ),
    jobs: [],
  },
  {
    path: 'orders',
    purpose: t(
      '责令改正：由市电子政务办、监察或保密部门签发，单位在期限内改正并报告。',
      'Orders to put something right, issued by the office or a supervisor; the agency does so in time, and reports.',
    ),
    jobs: [
      job(t('签发', 'Issue one'), [
        '选择单位、资源和情形，写明要求和期限。',
        'Choose agency, resource and cause; say what is wanted, and until when.',
      ]),
      job(
        t('报告整改', 'Report'),
        ['被责令单位打开它，填写整改情况。', 'The agency opens it, and says what was done.'],
        ['签发方办结，或写明整改不到位。', 'Whoever issued it closes it, or says what is still missing.'],
      ),
    ],
  },
  {
    path: 'evaluations',
    purpose: t(
      '对各单位数量、及时和应用三方面的评估，公布后各单位可见。',
      'How the agencies did by quantity, timeliness and use; once published all may see it.',
    ),
    jobs: [
      job(
        t('一次评估', 'An evaluation'),
        ['拟定：按期间计算各单位得分。', 'Draw it up: the scores of a period are reckoned.'],
        ['征求意见后定稿，再公布。', 'After the advice is in it is frozen, then published.'],
      ),
    ],
  },
  {
    path: 'cases',
    purpose: t('全部未办结事项，各在谁手中。', 'All that is open, and in whose hands it is.'),
    jobs: [],
  },
]
