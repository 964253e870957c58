import { t } from '../words.tsx'
import { job, type Section } from './section.ts'

export const general: readonly Section[] = [
  {
    path: '',
    name: t('工作台', 'My desk'),
    purpose: t(
      '登录后先看到的页面：所有等您办理的事项在一张表里，最急的在最上面。上面是本角色的几个数字，点开是它们所数的清单；下面是已交给其他人办理的事项。侧栏“工作台”旁的数字是件数。',
      'What you see after signing in: everything that waits for you in one table, the most pressing first. At the top stand some figures of your role, each leading to what it counts; below is what is under way with others. The number beside “My desk” says how much there is.',
    ),
    jobs: [
      job(
        t('办理一件', 'Take on a case'),
        ['点事项名称（或按回车）打开它。', 'Open the case by its name, or press Enter.'],
        ['看左边的内容，在右边的办理栏选择要做的事。', 'Read what stands on the left, and choose what to do on the right.'],
        ['在对话框里填写理由等内容并确认。', 'Fill in the dialog, and confirm.'],
        ['办完后点“下一件”，继续办理。', 'Then “The next one” leads on.'],
      ),
      job(
        t('只用键盘', 'By keyboard alone'),
        ['按 j、k 上下移动，按回车打开。', 'Keys j and k move, Enter opens.'],
        [
          '在事项页按 a 办理（批准、同意、发布等），按 r 退回或驳回。',
          'On a case, key a goes on (approve, consent, publish), key r sends back or rejects.',
        ],
      ),
    ],
  },
  {
    path: 'catalog',
    name: t('资源目录', 'Catalog'),
    purpose: t(
      '全市各单位登记的信息资源都在这里。可以按名称、信息项或单位查找，再用左边的分类、单位、共享类型等缩小范围。',
      'All that the agencies have registered. Look for titles, items or agencies, then narrow down by class, agency or sharing on the left.',
    ),
    jobs: [
      job(
        t('申请共享一个资源', 'Apply for a resource'),
        ['输入词语，在结果中打开资源。', 'Type a word, and open a resource among what is found.'],
        [
          '看信息项和公开条：空心格对内共享，实心格对外公开，打叉的不公开，不能申请。',
          'Look at the items and the strip of openness: outlined for agencies, filled for everybody, crossed for nobody.',
        ],
        [
          '点“申请共享”，勾选所需信息项，写明用途和依据，提交。',
          'Choose “Apply for it”, tick the items that you need, give purpose and legal basis, submit.',
        ],
      ),
      job(
        t('一次申请几个资源', 'Apply for several at once'),
        ['在结果中把资源加入申请篮。', 'Put resources into the basket.'],
        ['打开申请篮，写一次用途和依据，一起提交。', 'Open the basket, give purpose and basis once, and submit all.'],
      ),
      job(t('目录里没有', 'It is not there'), [
        '点“提出目录外需求”，写明需要什么数据、为什么需要。',
        'Choose “Say what is missing”, and say which data you need, and why.',
      ]),
    ],
  },
  {
    path: 'basket',
    name: t('申请篮', 'Basket'),
    purpose: t('把几个资源放在一起，用同一个用途和依据申请。', 'Several resources are applied for together, with one purpose and basis.'),
    jobs: [
      job(
        t('提交', 'Submit'),
        ['逐个资源勾选信息项；不公开的不能勾选。', 'Tick the items of each resource; closed ones cannot be ticked.'],
        [
          '填写用途、依据和共享方式，提交。每个资源成为一件申请。',
          'Give purpose, basis and mode, and submit: each resource becomes an application.',
        ],
      ),
    ],
  },
  {
    path: 'flows',
    name: t('流向图', 'Flows'),
    purpose: t(
      '左边是提供单位，右边是获取单位，曲线是它们之间的交换。粗细表示今天的行数，红色带叉表示停住，赭色表示部分未到，移动的虚线表示刚有数据通过。',
      'Providers on the left, receivers on the right, a curve for what is exchanged between two of them. Its width tells the rows of today; red with a cross is held, ochre is not complete, moving dashes mean that rows have just passed.',
    ),
    jobs: [
      job(
        t('查一条停住的交换', 'Look into what is held'),
        ['点红色曲线，下面列出这一对单位的全部链路。', 'Choose a red curve: its lines are listed below.'],
        ['看“由谁处理”：写明该由谁做什么。', 'Read whose turn it is, and what is to be done.'],
        [
          '点单位名称，只看与它有关的交换；“以表格查看”是同样的内容。',
          'Choose an agency to see only what concerns it; “As a table” shows the same.',
        ],
      ),
    ],
  },
  {
    path: 'queries',
    name: t('数据查询', 'Query'),
    purpose: t(
      '查询本单位已获授权的数据，不必另建系统。每次查询都留有记录。',
      'Look up rows that your agency has been granted. Each query is put on record.',
    ),
    jobs: [
      job(
        t('查询', 'Query'),
        ['选择资源，第一次须写明用途。', 'Choose a resource; the first time its purpose is asked for.'],
        ['填写条件，查看结果；表下注明数据来源和截止时间。', 'Fill in conditions, and read the rows; below stand their source and age.'],
      ),
      job(t('发现数据有误', 'A row is wrong'), [
        '在该行点“报告有误”，选择信息项，写明哪里不对。',
        'Report the row: choose the item, and say what is wrong.',
      ]),
    ],
  },
  {
    path: 'search',
    name: t('全局检索', 'Search'),
    purpose: t(
      '在页面上方输入词语（或先按 /），资源、事项、单位、前置机和人员一起查找。',
      'Type into the field at the top, or press / first: resources, cases, agencies, machines and people are found together.',
    ),
    jobs: [],
  },
  {
    path: 'notices',
    name: t('通知', 'Notices'),
    purpose: t(
      '与您有关的变化。“●”表示未读；点开即到有关事项。',
      'What changed that concerns you. “●” is not read yet; each leads to its case.',
    ),
    jobs: [],
  },
  {
    path: 'account',
    name: t('个人中心', 'My account'),
    purpose: t(
      '您的姓名、单位和角色；在此更换口令、设置动态验证码、退出其他设备。',
      'Your name, agency and roles; change your password here, set up the second factor, sign out elsewhere.',
    ),
    jobs: [
      job(
        t('设置动态验证码', 'Set up the second factor'),
        [
          '在手机上安装验证器，扫描二维码（不能扫描时手工录入密钥）。',
          'Scan the picture with an authenticator on your telephone, or type the secret in.',
        ],
        [
          '填写手机上的六位数字，确认。以后登录时填写当时的数字。',
          'Fill in the six digits that it shows. From then on they are asked for when you sign in.',
        ],
      ),
    ],
  },
]
