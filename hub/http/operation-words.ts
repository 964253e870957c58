import type { ErrorDetails } from '../../protocol/errors.ts'
import { joinTexts, type LocalizedText } from '../../protocol/localized.ts'
import { reachOf } from '../access/authorise.ts'
import type { Principal } from '../access/principal.ts'
import { rights, type OperationName } from '../access/rights.ts'
import { operations } from '../operations/index.ts'
import { objectNames } from '../records/refusals.ts'
import { roles, type Role } from '../records/roles.ts'

/** What happens by the hub itself, by its own command line, or at doors that are no operations. */
const ownEvents: Record<string, LocalizedText> = {
  'list.export': { zh: '导出列表', en: 'export a list' },
  'application.ask': { zh: '征求提供单位意见', en: 'ask the provider' },
  'application.proceed': { zh: '转市电子政务办审核', en: 'pass on to the office' },
  'correction.settle': { zh: '自行了结（更正）', en: 'settle by itself (correction)' },
  'grant.hold': { zh: '待接收方确认（授权）', en: 'hold (grant)' },
  'grant.webhook': { zh: '更改推送（授权）', en: 'change a webhook (grant)' },
  'grant.expire': { zh: '到期（授权）', en: 'expire (grant)' },
  'machine.enrol': { zh: '登记前置机', en: 'enrol the machine' },
  'opening.supersede': { zh: '由新的开放发布取代', en: 'superseded by a newer one (opening)' },
  'opening.lapse': { zh: '失效（开放发布）', en: 'lapse (opening)' },
  'publication.lapse': { zh: '失效（公开授权请求）', en: 'lapse (publication)' },
  'publication.expire': { zh: '到期（公开授权请求）', en: 'expire (publication)' },
  'session.open': { zh: '登录', en: 'sign in' },
  'person.lock': { zh: '锁定账户', en: 'lock an account' },
  'person.invite-first': { zh: '邀请首个管理员', en: 'invite the first administrator' },
  'agency.add': { zh: '登记机关单位', en: 'add an agency' },
  'resource.publish': { zh: '发布信息资源', en: 'publish a resource' },
  'grant.add': { zh: '设立授权', en: 'add a grant' },
  'grant.items': { zh: '更改授权的信息项', en: 'change the items of a grant' },
  'route.add': { zh: '设立交换路由', en: 'add a route' },
  'route.removed': { zh: '清除已交付的数据', en: 'remove what was delivered' },
  'token.issue': { zh: '签发登记令牌', en: 'issue an enrolment token' },
  'agent.enrol': { zh: '前置机登记', en: 'enrol an agent' },
  'agent.replace': { zh: '前置机替换', en: 'replace an agent' },
  'agent.carry': { zh: '前置机摆渡', en: 'carry over a gap' },
  'api.token': { zh: '领取接口令牌', en: 'take an API token' },
  api: { zh: '调用数据接口', en: 'use the data API' },
  query: { zh: '数据查询', en: 'query' },
  request: { zh: '请求', en: 'request' },
  'open.feedback': { zh: '公众反馈', en: "the public's feedback" },
  'row.import': { zh: 'EXCEL 导入', en: 'Excel import' },
  'supply.resend': { zh: '重新发送', en: 'send again' },
  'supply.snapshot': { zh: '整表重送', en: 'send the whole table' },
  'supply.take-over': { zh: '接管数据提供', en: 'take over the supply' },
  'supply.rekey': { zh: '更换签名密钥', en: 'another signing key' },
  'table.rebuild': { zh: '重建查询表', en: 'build a table anew' },
  'webhook.hold': { zh: '停止推送', en: 'hold a webhook' },
  'reconciliation.fail': { zh: '对账失败', en: 'reconciliation failed' },
  'supervision.settings': { zh: '更改监督设置', en: 'change the settings of supervision' },
  'clock.held': { zh: '时钟存疑', en: 'clock in doubt' },
  'clock.agrees': { zh: '时钟恢复一致', en: 'clock agrees again' },
  'deadline.due': { zh: '期限将至', en: 'deadline near' },
  'deadline.missed': { zh: '办理逾期', en: 'deadline missed' },
  'duty.overdue': { zh: '更新逾期', en: 'duty overdue' },
}

/** What an operation is called among people: what its documentation says of it, without what is explained there. */
export const operationWords: ReadonlyMap<string, LocalizedText> = new Map([
  ...operations.map(({ name, text, path, objectKind }) => {
    // An event's own words are a verb alone.
    const of = objectKind && /\/:id\//.test(path) ? { zh: `（${objectNames[objectKind]}）`, en: ` (${objectKind})` } : { zh: '', en: '' }
    return [name, { zh: first(text.zh, /[\uff1a\uff0c\uff08]/) + of.zh, en: first(text.en, /[:,(]/) + of.en }] as const
  }),
  ...Object.entries(ownEvents),
])

function first(text: string, end: RegExp): string {
  return text.split(end)[0]!.trim()
}

/** The operation that an error's details name, in words, with who may where the caller's roles may not at all; undefined where none is named. */
export function inWords(details: ErrorDetails, principal: Principal | undefined): ErrorDetails | undefined {
  const { operation, event } = details
  const worded = {
    ...(typeof operation === 'string' && { operation: forbiddenWords(operation, principal) }),
    ...(typeof event === 'string' && { event: operationWords.get(event) }),
  }
  const known = Object.entries(worded).filter((entry): entry is [string, LocalizedText] => entry[1] !== undefined)
  return known.length > 0 ? Object.fromEntries(known) : undefined
}

function forbiddenWords(name: string, principal: Principal | undefined): LocalizedText | undefined {
  const words = operationWords.get(name)
  if (!words || !principal) return words
  if (reachOf(principal, name as OperationName).size > 0) {
    return { zh: `${words.zh}（不是您可办的事项）`, en: `${words.en} (not this one)` }
  }
  const able = Object.keys(rights[name as OperationName]).filter((role): role is Role => Object.hasOwn(roles, role))
  const who = joinTexts(
    able.map((role) => roles[role]),
    { zh: '、', en: ', ' },
  )
  return { zh: `${words.zh}（由${who.zh}办理）`, en: `${words.en} (for: ${who.en})` }
}
