import { t } from '../words.tsx'
import { job, type Section } from './section.ts'

export const sharing: readonly Section[] = [
  {
    path: 'applications',
    purpose: t(
      '共享申请从提交到决定的全部经过。有条件共享的先征求提供单位意见，再由市电子政务办审核。',
      'Applications from their submission to the decision. Where sharing has conditions the provider is asked first, then the office decides.',
    ),
    jobs: [
      job(t('看我的申请到哪一步', 'See where mine stands'), [
        '打开申请：右边写着状态、轮到谁、期限和经过。',
        'Open it: state, whose turn it is, deadline and history stand on the right.',
      ]),
      job(
        t('提供单位答复', 'Answer as the provider'),
        ['打开征求意见的申请，看申请单位、信息项、用途和依据。', 'Open it: who asks, for which items, what for and why.'],
        ['同意，或写明理由不同意；需要时选择脱敏的信息项。', 'Consent, or object with a reason; name the items that are to be masked.'],
      ),
      job(
        t('市电子政务办审批', 'Decide as the office'),
        ['看“已有情况”：其他授权、以往决定、前置机是否在线。', 'Read what there is already: other grants, earlier decisions, the machine.'],
        [
          '批准全部或部分信息项，或写明理由驳回。批准后交换自动开始。',
          'Approve all items or some, or reject with a reason. Exchange begins by itself.',
        ],
        [
          '几件一起决定时，在列表中勾选，再点批量批准或批量驳回：逐件办理，没有办成的写明原因。',
          'To decide on several, tick them in the list: each is decided on its own, and what was not done says why.',
        ],
        [
          '材料不全的退回补正，写明要补什么；期间不计办理期限。',
          'Return for completion what is not complete, and say what is missing: no time counts meanwhile.',
        ],
      ),
      job(
        t('补正被退回的申请', 'Complete what was returned'),
        ['在工作台打开它，看理由，修改内容或添加附件。', 'Open it from your desk, read the reason, change it or attach a file.'],
        ['再次提交；提供单位会重新被征求意见。', 'Submit it again; providers are asked again.'],
      ),
      job(t('打印申请表', 'Print the form'), [
        '点“打印”，在纸件上签字盖章，扫描后作为附件添加。',
        'Press “Print”; what is signed and stamped is scanned and attached.',
      ]),
    ],
  },
  {
    path: 'grants',
    purpose: t(
      '批准后得到的授权：哪个资源、哪些信息项、什么方式、到何时、数据是否正常到达。',
      'What was granted: which resource and items, in which way, until when, and whether the rows arrive.',
    ),
    jobs: [
      job(t('使用数据接口', 'Use the interface'), [
        '打开方式为数据接口的授权，建立凭据；密钥只显示一次，请立即抄存。',
        'Open a grant of this mode and make a credential; its secret is shown once: keep it.',
      ]),
      job(t('接受新版本', 'Accept a new version'), [
        '资源改变后授权显示待确认；打开它，对照变化，接受后继续。',
        'After an incompatible change the grant waits: open it, look at what changes, accept it.',
      ]),
      job(t('不再需要', 'It is not needed any more'), ['打开授权，选择放弃。', 'Open the grant and give it up.']),
    ],
  },
  {
    path: 'demands',
    purpose: t(
      '目录中没有、又确需的数据，向掌握它的单位提出。',
      'What is not in the catalog and needed all the same is asked of the agency that has it.',
    ),
    jobs: [
      job(
        t('提出需求', 'Say what is needed'),
        ['写明需要什么、为何需要、依据是什么，可能由谁掌握。', 'Say what you need, why, on which basis, and who may have it.'],
        [
          '市电子政务办指定提供单位，双方商定内容和期限；登记发布后需求办结。',
          'The office names a provider, both agree on content and time; it ends when the resource is published.',
        ],
      ),
    ],
  },
  {
    path: 'corrections',
    purpose: t(
      '发现共享数据有误时在此报告，由提供单位核实更正并答复。',
      'Errors in shared data are reported here; the provider checks them and answers.',
    ),
    jobs: [
      job(
        t('报告有误', 'Report an error'),
        ['在数据查询的结果行点“报告有误”，所在行自动填好。', 'Report it from a row of a query: the row is filled in already.'],
        ['写明哪里有误、应为什么。', 'Say what is wrong, and what it should be.'],
      ),
      job(
        t('答复', 'Answer'),
        ['提供单位在期限内核实，填写处理结果。', 'The provider checks it in time, and gives the result.'],
        ['市电子政务办办结；不服的可重开一次。', 'The office closes it; it may be reopened once.'],
      ),
    ],
  },
  {
    path: 'publications',
    purpose: t(
      '获取单位想把得到的数据公开发布，须先得到提供单位同意。',
      'Whoever wants to publish what they received asks the provider first.',
    ),
    jobs: [
      job(
        t('请求公开', 'Ask'),
        ['在授权页选择请求公开，写明位置、用途和来源注明。', 'Ask from the grant: where, what for, and how the source is named.'],
        ['提供单位同意（可附条件）或拒绝。', 'The provider consents, with conditions or without, or refuses.'],
      ),
    ],
  },
  {
    path: 'openings',
    purpose: t(
      '把对外公开的信息项作为开放数据发布，任何人无需登录即可查看和下载。',
      'Public items are released as open data, which everybody may read and download without an account.',
    ),
    jobs: [
      job(
        t('发布开放数据', 'Release open data'),
        ['本单位在资源页提出开放的信息项。', 'The agency proposes items on the page of the resource.'],
        ['市电子政务办审核后发布或退回。', 'The office releases or returns them.'],
      ),
    ],
  },
]
