import { t } from '../words.tsx'
import { job, type Section } from './section.ts'

export const administration: readonly Section[] = [
  {
    path: 'calendars',
    purpose: t(
      '工作日日历：各年的节假日和调休上班日，期限按它推算。',
      'The holidays and make-up days of each year: deadlines are counted by them.',
    ),
    jobs: [
      job(t('填报一年', 'Put a year'), [
        '国务院办公厅公布次年节假日安排后，填报节假日、调休上班日和文件名称。',
        "Once the State Council's notice on the holidays of the next year is out, put its holidays, make-up days and title.",
      ]),
    ],
  },
  {
    path: 'agencies',
    purpose: t('机关单位及其上下级、负责人和联系人。', 'The agencies, what is above them, and who is responsible.'),
    jobs: [
      job(
        t('从文件导入', 'Import from a file'),
        [
          '下载模板，填好后选择文件：先检查，显示将新增和修改什么。',
          'Download the template, fill it in, choose the file: it is checked, and what would change is shown.',
        ],
        [
          '有错的逐格列出，改正后重新选择；无误后确认导入。',
          'What is wrong is listed cell by cell: mend it and choose the file again; then confirm.',
        ],
      ),
    ],
  },
  {
    path: 'people',
    purpose: t(
      '人员由系统管理员建立，角色由安全管理员授予，两者不是同一人。',
      'A system administrator makes people, a security administrator gives them roles: never the same person.',
    ),
    jobs: [
      job(
        t('新增一人', 'Somebody new'),
        [
          '系统管理员填写登录名、姓名和单位，得到一次性激活链接，转交本人。',
          'The system administrator fills in login, name and agency, and hands the one-time link on.',
        ],
        [
          '安全管理员授予角色；本人打开链接设置口令。',
          'The security administrator gives roles; the person opens the link and sets a password.',
        ],
      ),
      job(
        t('从文件导入', 'Import from a file'),
        [
          '系统管理员下载模板填写，检查无误后确认，得到各人的激活链接。',
          'The system administrator fills in the template and confirms what the check shows; each new person has a link then.',
        ],
        ['安全管理员以同一文件的“角色”列分配角色。', 'The security administrator gives the roles that the same file names.'],
      ),
      job(t('账户被锁定', 'An account is locked'), [
        '到时自动解锁，或由安全管理员解锁。',
        'It is unlocked after a while, or by the security administrator.',
      ]),
    ],
  },
  {
    path: 'keys',
    purpose: t(
      '供程序和大屏使用的密钥：由安全管理员建立，只显示一次，到期失效。',
      'Keys for programs and for the wall screen: made by the security administrator, shown once, ended when they expire.',
    ),
    jobs: [],
  },
  {
    path: 'sessions',
    purpose: t(
      '正在登录的浏览器。不认得的请立即结束，并更换口令。',
      'Browsers that are signed in. End what you do not know, and change your password.',
    ),
    jobs: [],
  },
  {
    path: 'audit',
    purpose: t(
      '谁在何时做了何事、结果如何。记录首尾相连，改动一处即可发现。',
      'Who did what, when, and with which outcome. The entries form a chain, so that a change of any of them is found.',
    ),
    jobs: [
      job(t('查找', 'Find something'), ['按人员、行为、事项、结果和日期筛选。', 'Filter by person, act, object, outcome and days.']),
      job(t('验证', 'Verify it'), [
        '点“验证”，等待完成：显示“全链一致”，或指出第几条不一致。',
        'Choose to verify, and wait: the chain is whole, or the entry that is not is named.',
      ]),
    ],
  },
  {
    path: 'system',
    name: t('系统状况', 'System'),
    purpose: t(
      '交换和平台运行中的问题：每个问题写明是什么、由谁处理；没有问题时写明一切正常。',
      'What is wrong with the exchange and the hub: what it is, and whose turn; where there is nothing it says that all is well.',
    ),
    jobs: [],
  },
  {
    path: 'settings',
    name: t('设置', 'Settings'),
    purpose: t(
      '办理时限、更新义务、登录规则等设置，仅供查看；改动由系统运维人员进行。',
      'Deadlines, duties and rules for signing in, to be read; whoever runs the system changes them.',
    ),
    jobs: [],
  },
]
