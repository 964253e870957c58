import { QianzhiError } from '../../protocol/errors.ts'
import { same, type LocalizedText } from '../../protocol/localized.ts'

/** What the hub keeps, as it is called where an object of it is refused. */
export const objectNames = {
  agency: '机关单位',
  agent: '前置机代理',
  application: '申请',
  classification: '分类',
  correction: '更正',
  credential: '接口凭证',
  deadline: '期限',
  declaration: '声明',
  demand: '目录外需求',
  draft: '草稿',
  duty: '更新任务',
  evaluation: '评估',
  grant: '授权',
  job: '任务',
  key: '密钥',
  login: '登录名',
  machine: '前置机申请',
  opening: '开放发布',
  order: '责令改正',
  person: '人员',
  publication: '公开授权请求',
  reconciliation: '对账',
  registration: '登记',
  resource: '资源',
  route: '交换路由',
  session: '会话',
  standard: '数据标准',
  webhook: '推送',
} as const

export type ObjectName = keyof typeof objectNames

/** `资源 civil.villages`, `resource civil.villages`. */
export function objectName(kind: ObjectName, id: string): LocalizedText {
  return { zh: `${objectNames[kind]} ${id}`, en: `${kind} ${id}` }
}

export function notFound(kind: ObjectName, id: string): QianzhiError {
  return new QianzhiError('QZ-NOT-FOUND', { what: objectName(kind, id) })
}

/** Whose it is, for behind a name. */
export function ofAgency({ agency, agencyName }: { agency: string; agencyName: string }): LocalizedText {
  return { zh: `属于${agencyName}`, en: `of ${agency}` }
}

/** It is there already, and differs; `why` stands behind its name. */
export function conflict(kind: ObjectName, id: string, why?: string | LocalizedText): QianzhiError {
  const what = objectName(kind, id)
  if (why === undefined) return new QianzhiError('QZ-CONFLICT', { what })
  const { zh, en } = typeof why === 'string' ? same(why) : why
  return new QianzhiError('QZ-CONFLICT', { what: { zh: `${what.zh}（${zh}）`, en: `${what.en} (${en})` } })
}

/** Nothing of the kind happens to an object in this state. */
export function wrongState(kind: ObjectName, id: string, state: LocalizedText, event: string | LocalizedText): QianzhiError {
  return new QianzhiError('QZ-STATE', { what: objectName(kind, id), state, event })
}

/** A rule of the regulation, or one that follows from it, is not kept. */
export function rule(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-RULE', { reason: { zh, en } })
}
