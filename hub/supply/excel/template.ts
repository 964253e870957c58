/** The workbook in which the rows of a resource are brought (Art. 15), made from what the catalog says of its items. */
import { writeWorkbook, type WrittenColumn } from '../../../protocol/excel/write.ts'
import type { Language, LocalizedText } from '../../../protocol/localized.ts'
import type { CatalogItem } from '../../registry/catalog/content.ts'
import { valueName } from '../../registry/catalog/labels.ts'
import type { EnteredResource } from '../entered-resource.ts'
import { formItem } from '../form.ts'
import type { Subject } from '../../registry/catalog/subjects.ts'
import { fingerprintOf, headerOf, listed, writeMark, yesNo } from './columns.ts'

export interface TemplateOf {
  resource: Pick<EnteredResource, 'code' | 'title' | 'items'>
  catalogVersion: number
  subject: Subject
  licence: boolean
}

export const dataSheet: LocalizedText = { zh: '数据', en: 'Data' }
export const guideSheet: LocalizedText = { zh: '填报说明', en: 'Guide' }

export function markOf({ resource, catalogVersion }: Pick<TemplateOf, 'resource' | 'catalogVersion'>): string {
  return writeMark({ resource: resource.code, catalogVersion, fingerprint: fingerprintOf(resource.items) })
}

export async function excelTemplate(of: TemplateOf, language: Language): Promise<Buffer> {
  const { items } = of.resource
  return writeWorkbook({
    sheets: [
      { name: dataSheet[language], columns: items.map((item) => columnOf(of, item)), rows: [] },
      {
        name: guideSheet[language],
        columns: guideHeaders.map(({ zh, en }, i) => ({ header: { zh, en }[language], width: i === 0 || i === 6 ? 40 : 20 })),
        rows: [
          ...items.map((item) => guideLine(of, item, language)),
          [],
          ...guideRows(of).map(({ name, text }) => [name[language], text[language]]),
        ],
      },
    ],
  })
}

/** Up to fifteen digits are safe as a number. */
const safeDigits = 15

function columnOf(of: TemplateOf, item: CatalogItem): WrittenColumn {
  const { dictionary, type, precision = 38 } = item
  const list = dictionary ? [...new Set(dictionary.map(listed))] : type === 'boolean' ? yesNo : undefined
  const formats = { date: 'date', timestamp: 'moment', timestamptz: 'moment', time: 'time' } as const
  const number = type === 'decimal' && precision <= safeDigits
  const format = dictionary ? 'text' : number ? 'number' : ((formats as Record<string, WrittenColumn['format']>)[type] ?? 'text')
  return { header: headerOf(item), note: noteOf(of, item), format, ...(list && { list }) }
}

/** What is to be known of an item, in words. */
function noteOf({ subject, licence }: TemplateOf, item: CatalogItem): LocalizedText {
  const { required, role, description, example } = formItem(item, { subject, licence })
  const lines = (language: Language): string =>
    [
      limitsOf(item, language),
      required ? { zh: '必填', en: 'required' }[language] : '',
      role?.mandatory ? { zh: `办法第六条：${role.name.zh}`, en: `Art. 6: ${role.name.en}` }[language] : '',
      checkOf(item, language),
      description ?? '',
      example === null ? '' : { zh: `示例：${example}`, en: `Example: ${example}` }[language],
    ]
      .filter((line) => line !== '')
      .join('\n')
  return { zh: lines('zh'), en: lines('en') }
}

function limitsOf({ type, length, precision, scale = 0, key }: CatalogItem, language: Language): string {
  const name = valueName('type', type, language)
  const limit =
    length !== undefined
      ? { zh: `，最多 ${length} 个字符`, en: `, at most ${length} characters` }[language]
      : precision !== undefined
        ? { zh: `，${precision} 位，其中小数 ${scale} 位`, en: `, ${precision} digits, ${scale} behind the point` }[language]
        : ''
  return `${name}${limit}${key ? { zh: '；主键', en: '; key' }[language] : ''}`
}

function checkOf({ check }: CatalogItem, language: Language): string {
  if (!check) return ''
  const kind = valueName('checkKind', check.kind, language)
  return { zh: `校验：${kind}（${valueName('checkOn', check.on, 'zh')}）`, en: `Check: ${kind} (${valueName('checkOn', check.on, 'en')})` }[
    language
  ]
}

const guideHeaders: readonly LocalizedText[] = [
  { zh: '列', en: 'Column' },
  { zh: '类型', en: 'Type' },
  { zh: '必填', en: 'Required' },
  { zh: '校验', en: 'Check' },
  { zh: '可填的值', en: 'Values' },
  { zh: '示例', en: 'Example' },
  { zh: '说明', en: 'Description' },
]

const fewValues = 20

function guideLine({ subject, licence }: TemplateOf, item: CatalogItem, language: Language): (string | null)[] {
  const { required, role, description, example, dictionary } = formItem(item, { subject, licence })
  const values = dictionary.slice(0, fewValues).map(listed).join('\n')
  const more = dictionary.length > fewValues ? `\n… ${dictionary.length}` : ''
  const mandatory = role?.mandatory ? { zh: `办法第六条：${role.name.zh}`, en: `Art. 6: ${role.name.en}` }[language] : ''
  return [
    // With the same words a sheet of the guide would look like one of rows.
    `${item.id}  ${item.label}`,
    limitsOf(item, language),
    required ? { zh: '是', en: 'yes' }[language] : '',
    checkOf(item, language),
    item.type === 'boolean' && dictionary.length === 0 ? yesNo.join('\n') : values + more,
    example,
    [mandatory, description ?? ''].filter((line) => line !== '').join('\n'),
  ]
}

function guideRows(of: TemplateOf): { name: LocalizedText; text: LocalizedText }[] {
  const { title, code } = of.resource
  const line = (zh: string, en: string, text: [zh: string, en: string]) => ({ name: { zh, en }, text: { zh: text[0], en: text[1] } })
  return [
    line('资源', 'Resource', [`${title}（${code}）`, `${title} (${code})`]),
    line('模板标识', 'Template', [markOf(of), markOf(of)]),
    line('怎样填', 'How', [
      '一行一条，从第 2 行起；不要改表头，列的次序可以调整；不要合并单元格，不要用公式',
      'one row each from row 2 on; leave the header as it is, in any order of columns; merge no cells, use no formulas',
    ]),
    line('空单元格', 'Empty cells', [
      '表示没有值（空值），也会覆盖已有的值',
      'mean that there is no value, and take the place of one that there was',
    ]),
    line('号码', 'Numbers', [
      '证件号码等以文本填写；超过 15 位的数字不能用数字格式',
      'identity numbers are texts; what has more than 15 digits is no number for Excel',
    ]),
    line('时刻', 'Times', ['不写时区的，按北京时间', 'without a zone are in Beijing time']),
    line('保留本页', 'This page', ['检查时据此辨认模板版本', 'tells which version of the template this is']),
  ]
}
