import type { Language, LocalizedText } from '../../../protocol/localized.ts'
import type { SubjectRole } from '../../../protocol/schema.ts'
import type { CatalogContent, CatalogItem } from './content.ts'
import { roleNames } from './subjects.ts'

/* What people call the fields of a catalog entry and their values: in faults, Excel files and differences. */

export const fieldNames: Record<keyof CatalogContent, LocalizedText> = {
  title: { zh: '信息资源名称', en: 'title' },
  classification: { zh: '信息资源分类', en: 'classification' },
  abstract: { zh: '信息资源摘要', en: 'abstract' },
  format: { zh: '信息资源格式', en: 'format' },
  sharing: { zh: '共享类型', en: 'sharing type' },
  sharingConditions: { zh: '共享条件', en: 'sharing conditions' },
  shareModes: { zh: '共享方式', en: 'share modes' },
  openWithConditions: { zh: '开放条件', en: 'conditions of opening' },
  cycle: { zh: '更新周期', en: 'update cycle' },
  supplyMode: { zh: '提供方式', en: 'supply mode' },
  subject: { zh: '记载主体', en: 'subject' },
  licence: { zh: '许可资质资格', en: 'licence' },
  secrecy: { zh: '涉密标识', en: 'secrecy flag' },
  region: { zh: '行政区划代码', en: 'region code' },
  keywords: { zh: '关键字', en: 'keywords' },
  related: { zh: '关联资源代码', en: 'related resources' },
  keep: { zh: '数据存储', en: 'data kept' },
  producer: { zh: '前置机代理', en: 'producing agent' },
  table: { zh: '表名', en: 'table' },
  openLicence: { zh: '开放许可', en: 'licence of the open part' },
  contact: { zh: '联系人', en: 'contact' },
  temporal: { zh: '时间范围', en: 'temporal coverage' },
  items: { zh: '信息项', en: 'items' },
  storedClosed: { zh: '存储的不公开信息项', en: 'stored closed items' },
  exceptions: { zh: '一数一源例外', en: 'exceptions to one source' },
}

export const itemFieldNames: Record<keyof CatalogItem, LocalizedText> = {
  id: { zh: '信息项标识', en: 'item id' },
  name: { zh: '列名', en: 'column name' },
  label: { zh: '信息项名称', en: 'item label' },
  type: { zh: '数据类型', en: 'type' },
  length: { zh: '数据长度', en: 'length' },
  precision: { zh: '精度', en: 'precision' },
  scale: { zh: '小数位数', en: 'scale' },
  key: { zh: '主键', en: 'key' },
  required: { zh: '必填', en: 'required' },
  openness: { zh: '公开属性', en: 'openness' },
  check: { zh: '校验', en: 'check' },
  role: { zh: '基本元数据', en: 'subject role' },
  description: { zh: '说明', en: 'description' },
  example: { zh: '示例', en: 'example' },
  dictionary: { zh: '字典', en: 'list of values' },
  searchable: { zh: '可检索', en: 'searchable' },
  sensitivity: { zh: '敏感程度', en: 'sensitivity' },
}

/** The words of each enumeration, which import takes and export writes (Chinese), beside the values themselves. */
export const valueNames = {
  format: {
    database: { zh: '数据库', en: 'database' },
    spreadsheet: { zh: '电子表格', en: 'spreadsheet' },
    document: { zh: '电子文件', en: 'document' },
    image: { zh: '图形图像', en: 'image' },
    media: { zh: '流媒体', en: 'streaming media' },
    own: { zh: '自描述格式', en: 'own format' },
  },
  sharing: {
    unconditional: { zh: '无条件共享', en: 'unconditional' },
    conditional: { zh: '有条件共享', en: 'conditional' },
    none: { zh: '不予共享', en: 'not shared' },
  },
  shareModes: {
    query: { zh: '数据查询', en: 'query' },
    api: { zh: '数据接口', en: 'API' },
    exchange: { zh: '数据交换', en: 'exchange' },
  },
  cycle: {
    realtime: { zh: '实时', en: 'real time' },
    daily: { zh: '每日', en: 'daily' },
    weekly: { zh: '每周', en: 'weekly' },
    monthly: { zh: '每月', en: 'monthly' },
    quarterly: { zh: '每季度', en: 'quarterly' },
  },
  supplyMode: {
    'front-end': { zh: '前置机接入', en: 'front-end machine' },
    form: { zh: '在线表单录入', en: 'online form' },
    excel: { zh: 'EXCEL导入', en: 'Excel' },
  },
  subject: {
    enterprise: { zh: '工商企业', en: 'enterprise' },
    'social-organisation': { zh: '社会组织', en: 'social organisation' },
    'public-institution': { zh: '事业单位', en: 'public institution' },
    person: { zh: '自然人', en: 'person' },
    other: { zh: '其他', en: 'other' },
  },
  keep: { store: { zh: '中心存储', en: 'stored' }, relay: { zh: '只转发', en: 'relayed' } },
  openness: {
    internal: { zh: '对内公开', en: 'internal' },
    public: { zh: '对外公开', en: 'public' },
    closed: { zh: '不公开', en: 'closed' },
  },
  type: {
    text: { zh: '文本', en: 'text' },
    integer: { zh: '整数', en: 'integer' },
    decimal: { zh: '小数', en: 'decimal' },
    boolean: { zh: '是否', en: 'boolean' },
    date: { zh: '日期', en: 'date' },
    timestamp: { zh: '日期时间', en: 'timestamp' },
    timestamptz: { zh: '日期时间（时区）', en: 'timestamp with zone' },
    time: { zh: '时间', en: 'time' },
    binary: { zh: '二进制', en: 'binary' },
    json: { zh: 'JSON', en: 'JSON' },
  },
  role: roleNames satisfies Record<SubjectRole, LocalizedText>,
  checkKind: {
    uscc: { zh: '统一社会信用代码', en: 'unified social credit code' },
    'organisation-code': { zh: '组织机构代码', en: 'organisation code' },
    'registration-number': { zh: '工商注册号', en: 'registration number' },
    'identity-number': { zh: '公民身份号码', en: 'identity number' },
  },
  sensitivity: {
    ordinary: { zh: '一般', en: 'ordinary' },
    personal: { zh: '个人信息', en: 'personal' },
    sensitive: { zh: '敏感个人信息', en: 'sensitive' },
  },
  checkOn: { warn: { zh: '提示', en: 'warn' }, reject: { zh: '拒绝', en: 'reject' } },
} as const satisfies Record<string, Record<string, LocalizedText>>

export type Enumeration = keyof typeof valueNames

export function valueName(of: Enumeration, value: string, language: Language): string {
  const names: Record<string, LocalizedText> = valueNames[of]
  return names[value]?.[language] ?? value
}

/** The value that a word means: the value itself, or its Chinese or English name. Undefined where it is none. */
export function valueNamed(of: Enumeration, word: string): string | undefined {
  const names: Record<string, LocalizedText> = valueNames[of]
  const plain = (text: string) => text.normalize('NFKC').toLowerCase().replaceAll(/\s/g, '')
  return Object.keys(names).find((value) => [value, names[value]!.zh, names[value]!.en].some((name) => plain(name) === plain(word)))
}
