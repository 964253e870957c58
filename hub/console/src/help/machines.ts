import { t } from '../words.tsx'
import { job, type Section } from './section.ts'

export const machines: readonly Section[] = [
  {
    path: 'machines',
    purpose: t(
      '申请一台前置机：它连接本单位的数据库和共享平台。',
      'Applications for front-end machines: they stand between the databases of an agency and the platform.',
    ),
    jobs: [
      job(
        t('登记前置机的三步', 'Three steps to a machine'),
        ['提出申请，写明名称和用途，等待市电子政务办批准。', 'Apply for it with a name and a purpose, and wait for the approval.'],
        ['批准后打开申请，领取登记令牌；令牌只显示一次。', 'Then take the token on its page; it is shown once.'],
        [
          '在前置机上执行页面给出的命令，状态随即变为已登记。',
          'Run the command that the page gives at the machine: its state changes at once.',
        ],
      ),
    ],
  },
  {
    path: 'agents',
    purpose: t(
      '已登记的前置机：是否在线、版本、每日早报、被拒的文件。',
      'The machines that were enrolled: whether they are heard of, their version, morning line and refused files.',
    ),
    jobs: [
      job(
        t('检查一台前置机', 'Look after a machine'),
        ['打开它，看各条链路和由谁处理。', 'Open it: its lines, and whose turn each is.'],
        ['选择诊断，逐项列出发现的问题和处理办法。', 'Have it examined: what is found is listed with its remedy.'],
        ['需要时暂停或恢复一条链路，或撤销丢失的前置机。', 'Pause a line or let it go on; revoke a machine that is lost.'],
      ),
    ],
  },
  {
    path: 'lines',
    purpose: t(
      '每条链路一行，停住的在前。链路条的三段是提供、平台、获取；红色带横线的一段就是停住的地方。',
      'A line for each exchange, those that are held first. The three segments are provider, hub and receiver: the red one with a bar holds it up.',
    ),
    jobs: [
      job(
        t('处理停住的链路', 'What is held'),
        ['看“由谁处理”一栏，由该单位按说明处理。', 'Read whose turn it is: that agency does what is said there.'],
        ['处理后自动恢复，页面随即变化。', 'It goes on by itself afterwards, and the page shows it.'],
      ),
    ],
  },
  {
    path: 'reconciliations',
    purpose: t(
      '对账：把提供方和获取方的数据逐行比对，证明一致，或列出差异。',
      'Both sides of a route are compared row by row: they are equal, or the differences are listed.',
    ),
    jobs: [
      job(
        t('发起对账', 'Have it reconciled'),
        ['在授权或链路页选择对账，可选择修复差异。', 'Choose it on the grant or the line, with or without mending.'],
        ['结束后看结果；一致的盖有印记。', 'Read the result at its end; what is equal bears a seal.'],
      ),
    ],
  },
  {
    path: 'jobs',
    purpose: t(
      '需要一段时间的工作，如 EXCEL 检查和导入、审计验证：进度和结果。',
      'What takes a while, such as the check of a workbook or of the audit: how far it is, and its result.',
    ),
    jobs: [],
  },
]
