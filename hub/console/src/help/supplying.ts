import { t } from '../words.tsx'
import { job, type Section } from './section.ts'

export const supplying: readonly Section[] = [
  {
    path: 'resources',
    purpose: t(
      '本单位登记的每个信息资源一行：最近一次更新、更新义务、停住的原因、获取单位数、是否有修改中的登记。',
      'A line for each resource: its newest rows, its update duty, why it is held, who receives it, whether a change is being made.',
    ),
    jobs: [
      job(
        t('填报或导入数据', 'Enter or import rows'),
        ['打开资源，按它的提供方式点“在线填报”或“EXCEL 导入”。', 'Open the resource: “Enter rows” or “Excel import”, as it is supplied.'],
        ['在线填报：“新增一行”，或在某行点“修改”。', 'By form: add a row, or change one.'],
        [
          'EXCEL 导入：下载模板，填写后上传，按检查结果改正，再确认导入。',
          'By Excel: download the template, fill it in, upload it, mend what the check names, then take it.',
        ],
      ),
      job(
        t('修改一个已发布的资源', 'Change what is published'),
        ['打开资源，选择修改，得到一份登记草稿。', 'Open the resource and choose to change it: a draft is made.'],
        ['改好后提交，由本单位审核员发布。', 'Submit it; a reviewer of your agency publishes it.'],
      ),
    ],
  },
  {
    path: 'registrations',
    purpose: t(
      '把本单位的信息资源登记到目录：登记员起草并提交，同一单位的另一人审核后发布。',
      'How a resource gets into the catalog: a registrar drafts and submits it, another person of the agency reviews and publishes it.',
    ),
    jobs: [
      job(
        t('登记一个资源', 'Register a resource'),
        [
          '点“登记信息资源”，从前置机上的表生成草稿，或按数据标准、由已有资源修改、手工建立。',
          'Choose to register: from a table at your machine, by a standard, as a change of what is there, or by hand.',
        ],
        [
          '填写摘要、分类、共享类型、更新周期；逐项填写信息项的名称和公开属性，可从电子表格粘贴。',
          'Fill in abstract, class, sharing and cycle; then each item with its name and openness; rows of a spreadsheet can be pasted.',
        ],
        [
          '每项最后一列可写明只允许的值和校验码；同名信息项已有的字典可以直接采用。',
          'The last column holds the only values of an item and its check; a list that an item of this name has elsewhere can be used.',
        ],
        [
          '右边列出还缺什么，点一下就到该处；内容自动保存。',
          'What is missing stands on the right and leads to its field; what you type is saved by itself.',
        ],
        ['提交，并写明保密审查结果。', 'Submit, with the result of the secrecy review.'],
      ),
      job(
        t('审核并发布', 'Review and publish'),
        ['在工作台打开该登记，对照改动和会受影响的获取单位。', 'Open it from your desk; look at what changes, and whom it touches.'],
        ['发布，或写明理由退回。自己提交的不能自己发布。', 'Publish it, or return it with a reason. Nobody publishes what they submitted.'],
      ),
    ],
  },
  {
    path: 'classifications',
    purpose: t(
      '国家目录指南的分类，以及市电子政务办在其下增加的类；登记资源时从中选择。',
      'The classes of the national guide, and those that the office adds below them: a registration names one.',
    ),
    jobs: [
      job(t('增加一类', 'Add a class'), [
        '找到上级，点“增加下级”，在其编码后续写，填中英文名称。',
        'Find the one above, choose to add one below, go on with its code, and give the name in both languages.',
      ]),
    ],
  },
  {
    path: 'standards',
    purpose: t(
      '市电子政务办发布的数据标准：各单位按同一结构登记同类数据，获取单位可一次申请全部采用单位的数据。',
      'Forms that the office publishes: agencies register data of a kind alike, and receivers apply for that of all of them at once.',
    ),
    jobs: [
      job(
        t('采用标准', 'Adopt one'),
        ['打开标准，看它要求的信息项。', 'Open it, and see which items it wants.'],
        ['登记资源时选择该标准。', 'Choose it when you register a resource.'],
      ),
      job(
        t('起草或修改', 'Draft or change one'),
        [
          '市电子政务办填写名称、摘要和信息项（可从表格软件粘贴），保存草稿。',
          'The office fills in title, abstract and items (which can be pasted from a spreadsheet), and saves the draft.',
        ],
        ['核对无误后发布：发布前其他单位看不到。', 'Publish it once it is right: until then no other agency sees it.'],
      ),
    ],
  },
  {
    path: 'duties',
    purpose: t(
      '每个资源每个周期须更新一次。这里列出各期间：待更新、进行中、已更新、已说明、逾期或免责。',
      'Each resource is to be updated once in each period of its cycle: here are the periods, and how each stands.',
    ),
    jobs: [
      job(
        t('本期没有变化', 'Nothing changed in a period'),
        ['在工作台打开更新义务，点“说明无变化”，提交。', 'Open the duty on your desk, choose “Nothing changed”, and submit.'],
        ['本单位审核员签发后，该期间为“已说明”。', 'Once your reviewer has signed it the period counts as explained.'],
      ),
      job(t('补上逾期的更新', 'Make up for what is overdue'), [
        '正常提供或填报数据即可；逾期的记录仍然保留。',
        'Supply the rows as usual; that it was overdue stays on record.',
      ]),
    ],
  },
  {
    path: 'declarations',
    purpose: t(
      '三种书面说明：本期无变化、暂不能提供、不可抗力。由本单位起草和签发。',
      'Three kinds of declarations: no change, cannot supply, force majeure; drafted and signed by the agency.',
    ),
    jobs: [
      job(
        t('起草', 'Draft one'),
        ['点“起草声明”，选择种类和资源，写明情况。', 'Choose to draft one: its kind, the resource, what happened.'],
        [
          '本单位审核员签发；暂不能提供的报市政府办公室。',
          'Your reviewer signs it; that you cannot supply is reported to the city government office.',
        ],
      ),
    ],
  },
]
