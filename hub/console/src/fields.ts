/** What members of answers, and their values, are called. */
import { entryName } from './catalog-fields.ts'
import { acts, kinds, roles, states, values as catalogValues, type Text } from './meta.ts'
import { t, timeText } from './words.tsx'

const names: Readonly<Record<string, Text>> = {
  id: t('编号', 'No.'),
  chain: t('链路', 'line'),
  age: t('数据距今', 'age'),
  quarantine: t('隔离', 'quarantine'),
  today: t('今日行数', 'rows today'),
  turn: t('由谁处理', 'whose turn'),
  clockOffset: t('时钟偏差', 'clock offset'),
  lines: t('行数', 'lines'),
  number: t('版本', 'version'),
  publishedBy: t('发布人', 'published by'),
  day: t('日期', 'day'),
  requests: t('请求数', 'requests'),
  url: t('地址', 'address'),
  deliveredAt: t('最近送达', 'delivered'),
  code: t('代码', 'code'),
  title: t('名称', 'title'),
  name: t('名称', 'name'),
  agency: t('单位', 'agency'),
  provider: t('提供单位', 'provider'),
  receiver: t('获取单位', 'receiver'),
  supposed: t('可能掌握的单位', 'who may have it'),
  parent: t('上级单位', 'agency above'),
  resource: t('资源', 'resource'),
  catalogCode: t('目录编码', 'catalog code'),
  standard: t('数据标准', 'data standard'),
  classification: t('分类', 'classification'),
  openness: t('公开属性', 'openness'),
  internal: t('对内', 'internal'),
  public: t('对外', 'public'),
  closed: t('不公开', 'closed'),
  updated: t('最近更新', 'newest rows'),
  duty: t('更新义务', 'update duty'),
  held: t('停住原因', 'held because'),
  receivers: t('获取单位', 'receivers'),
  draft: t('修改中', 'change in progress'),
  sharing: t('共享类型', 'sharing'),
  sharingConditions: t('共享条件', 'conditions of sharing'),
  shareModes: t('共享方式', 'share modes'),
  mode: t('共享方式', 'share mode'),
  items: t('信息项', 'items'),
  purpose: t('用途', 'purpose'),
  basis: t('依据', 'legal basis'),
  agent: t('前置机代理', 'agent'),
  until: t('截止日期', 'until'),
  validTo: t('有效期至', 'valid to'),
  atEnd: t('终止后的数据', 'data at the end'),
  state: t('状态', 'state'),
  approvedItems: t('批准的信息项', 'approved items'),
  masks: t('脱敏', 'masked'),
  approvedUntil: t('批准的截止日期', 'approved until'),
  reason: t('理由', 'reason'),
  extended: t('已延期', 'extended'),
  created: t('建立时间', 'created'),
  submitted: t('提交时间', 'submitted'),
  decided: t('决定时间', 'decided'),
  login: t('登录名', 'login'),
  email: t('电子邮箱', 'e-mail'),
  phone: t('电话', 'telephone'),
  roles: t('角色', 'roles'),
  role: t('角色', 'role'),
  hasFactor: t('已设动态验证码', 'second factor set up'),
  lockedUntil: t('锁定至', 'locked until'),
  lastSignIn: t('最近登录', 'last sign-in'),
  lastSeen: t('最近联系', 'last heard of'),
  enrolled: t('登记时间', 'enrolled'),
  morning: t('晨检', 'morning line'),
  refusedFiles: t('被拒文件', 'refused files'),
  kind: t('种类', 'kind'),
  uscc: t('统一社会信用代码', 'unified social credit code'),
  responsible: t('负责人', 'responsible person'),
  deputy: t('联系人', 'deputy'),
  expires: t('到期', 'expires'),
  ended: t('终止时间', 'ended'),
  createdBy: t('建立人', 'created by'),
  personName: t('姓名', 'name'),
  address: t('地址', 'address'),
  browser: t('浏览器', 'browser'),
  current: t('本会话', 'this one'),
  lastUsed: t('最近使用', 'last used'),
  what: t('需要什么', 'what'),
  why: t('为何需要', 'why'),
  agreedWhat: t('商定的内容', 'agreed on'),
  agreedUntil: t('商定的期限', 'agreed until'),
  key: t('所在行', 'row'),
  fault: t('有误之处', 'what is wrong'),
  wanted: t('应为', 'should be'),
  result: t('处理结果', 'result'),
  answer: t('答复', 'answer'),
  reopened: t('已重开', 'reopened'),
  place: t('公开位置', 'place'),
  source: t('来源注明', 'source named'),
  conditions: t('条件', 'conditions'),
  note: t('说明', 'note'),
  released: t('发布时间', 'released'),
  period: t('期间', 'period'),
  text: t('内容', 'text'),
  measures: t('补救措施', 'measures'),
  draftedBy: t('起草人', 'drafted by'),
  draftedAt: t('起草时间', 'drafted'),
  submittedBy: t('提交人', 'submitted by'),
  submittedAt: t('提交时间', 'submitted'),
  signedBy: t('签发人', 'signed by'),
  signedAt: t('签发时间', 'signed'),
  cause: t('情形', 'cause'),
  due: t('期限', 'due'),
  issuer: t('签发机关', 'issuer'),
  starts: t('开始', 'starts'),
  ends: t('结束', 'ends'),
  drawnAt: t('拟定时间', 'drawn up'),
  frozenAt: t('定稿时间', 'frozen'),
  publishedAt: t('公布时间', 'published'),
  published: t('公布时间', 'published'),
  cycle: t('更新周期', 'update cycle'),
  frequency: t('周期', 'cycle'),
  from: t('自', 'from'),
  to: t('至', 'to'),
  excuse: t('说明', 'excuse'),
  updatedOn: t('更新于', 'updated on'),
  declaration: t('说明编号', 'declaration'),
  object: t('事项', 'object'),
  objectTitle: t('事项名称', 'title of it'),
  startedAt: t('起算', 'started'),
  endedAt: t('办结', 'ended'),
  waits: t('等待', 'waits for'),
  daysLeft: t('剩余工作日', 'working days left'),
  at: t('时间', 'time'),
  actor: t('何人', 'who'),
  act: t('何事', 'act'),
  outcome: t('结果', 'outcome'),
  via: t('途径', 'by'),
  ip: t('地址', 'address'),
  seq: t('链上位置', 'place in the chain'),
  details: t('详情', 'details'),
  route: t('交换路由', 'route'),
  requested: t('请求时间', 'requested'),
  requestedBy: t('请求人', 'requested by'),
  repair: t('修复差异', 'mends differences'),
  rows: t('行数', 'rows'),
  step: t('步骤', 'step'),
  done: t('已完成', 'done'),
  total: t('总数', 'total'),
  problem: t('问题', 'problem'),
  file: t('文件', 'file'),
  by: t('何人', 'by'),
  begun: t('开始', 'begun'),
  application: t('申请', 'application'),
  heldVersion: t('待确认版本', 'version to be accepted'),
  providedBy: t('设备来源', 'provided by'),
  replaces: t('替换', 'replaces'),
  version: t('版本', 'version'),
  adopters: t('采用单位', 'adopters'),
  grant: t('授权', 'grant'),
  producer: t('提供的代理', 'producing agent'),
  keep: t('数据存储', 'data kept'),
  demand: t('目录外需求', 'demand'),
  base: t('所改版本', 'changes version'),
  evidence: t('佐证', 'evidence'),
  consents: t('提供单位意见', "providers' answers"),
  grants: t('授权', 'grants'),
  routes: t('交换路由', 'routes'),
  days: t('已有天数', 'days'),
  stateName: t('状态', 'state'),
  notBefore: t('不早于', 'not before'),
  deadline: t('期限', 'deadline'),
  moved: t('最近入库', 'last applied'),
  written: t('写入行数', 'rows written'),
  deleted: t('删除行数', 'rows deleted'),
  removed: t('已清除', 'removed'),
}

export function nameOf(member: string): Text {
  return names[member] ?? entryName(member)
}

const others: Readonly<Record<string, Text>> = {
  keep: t('保留', 'keep'),
  remove: t('删除', 'remove'),
  open: t('未办结', 'open'),
  closed: t('已撤销', 'closed'),
  active: t('有效', 'active'),
  held: t('停住', 'held'),
  unknown: t('不明', 'unknown'),
  partial: t('部分未到', 'not all arrives'),
  paused: t('已暂停', 'paused'),
  stopped: t('已中止', 'stopped'),
  loading: t('装载中', 'loading'),
  flowing: t('正常', 'flowing'),
  source: t('来源', 'source'),
  route: t('路由', 'route'),
  revoked: t('已撤销', 'revoked'),
  invited: t('未激活', 'invited'),
  disabled: t('已停用', 'disabled'),
  asked: t('征求中', 'asked'),
  consented: t('同意', 'consented'),
  objected: t('不同意', 'objected'),
  'no-change': t('无变化说明', 'no change'),
  'cannot-supply': t('无法提供报告', 'cannot supply'),
  'force-majeure': t('不可抗力报告', 'force majeure'),
  applicant: t('申请单位补正', 'its applicant'),
  receiver: t('接收方', 'the receiver'),
  done: t('已完成', 'done'),
  running: t('进行中', 'running'),
  due: t('应更新', 'due'),
  overdue: t('已逾期', 'overdue'),
  updated: t('已更新', 'updated'),
  explained: t('已说明', 'explained'),
  excused: t('已免责', 'excused'),
  upcoming: t('待更新', 'upcoming'),
  met: t('按期', 'in time'),
  missed: t('逾期', 'missed'),
  queued: t('排队中', 'queued'),
  failed: t('失败', 'failed'),
  cancelled: t('已取消', 'cancelled'),
  agency: t('本单位', 'the agency'),
  office: t('市电子政务办', "the city's office"),
  draft: t('草稿', 'draft'),
  approve: t('批准', 'approve'),
  reject: t('驳回', 'reject'),
  session: t('会话', 'session'),
  'admin-key': t('管理密钥', 'admin key'),
  hub: t('中心', 'hub'),
  client: t('接口凭据', 'credential'),
  municipal: t('市直单位', 'municipal'),
  town: t('镇街', 'town'),
  stationed: t('驻莞单位', 'stationed here'),
  other: t('其他', 'other'),
  'catalog-update': t('目录更新', 'catalog update'),
  'application-reply': t('申请答复', 'reply to an application'),
  delivery: t('数据提供', 'delivery'),
  rectification: t('责令改正', 'rectification'),
  waiting: t('等待中', 'waiting'),
  warned: t('临近期限', 'near'),
  dropped: t('已终止', 'dropped'),
  equal: t('一致', 'equal'),
  different: t('不一致', 'different'),
  calendar: t('工作日日历', 'the calendar'),
}

/** Seconds as people say them. */
export function ageText(age: number | null): Text {
  if (age === null) return t('不明', 'unknown')
  if (age < 120) return t(`${age} 秒`, `${age} s`)
  if (age < 7200) return t(`${Math.round(age / 60)} 分钟`, `${Math.round(age / 60)} min`)
  if (age < 172_800) return t(`${Math.round(age / 3600)} 小时`, `${Math.round(age / 3600)} h`)
  return t(`${Math.round(age / 86_400)} 天`, `${Math.round(age / 86_400)} d`)
}

/** Between the parts of a series. */
export const comma = t('、', ', ')

/** `application 7` */
const ofKind = /^([a-z-]+) (\S.*)$/

/** Moments of time are told in the city's. */
const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d/

/** A value as people read it; `kind`: of the object that it is of. */
export function valueText(value: unknown, member: string, kind: string | undefined, say: (text: Text) => string): string {
  if (value === null || value === undefined || value === '') return '—'
  if (typeof value === 'boolean') return say(value ? t('是', 'yes') : t('否', 'no'))
  if (typeof value === 'number') return member === 'age' ? say(ageText(value)) : String(value)
  if (Array.isArray(value)) return value.map((one) => valueText(one, member, kind, say)).join(say(comma)) || '—'
  if (typeof value === 'object') {
    const pair = value as Partial<Text>
    if (typeof pair.zh === 'string' && typeof pair.en === 'string') return say(pair as Text)
    return Object.entries(value)
      .map(([name, part]) => `${say(nameOf(name))} ${valueText(part, name, kind, say)}`)
      .join('\n')
  }
  const text = plain(value)
  if (moment.test(text)) return timeText(text)
  if (member === 'state' && kind && states[kind]?.[text]) return say(states[kind][text])
  if (member === 'role' || member === 'roles') return roles[text] ? say(roles[text]) : text
  const own = catalogValues[member === 'mode' ? 'shareModes' : member]?.[text]
  if (own) return say(own)
  if (member === 'kind' && (kinds[text] ?? acts[text])) return say((kinds[text] ?? acts[text])!)
  const [, named = '', id = ''] = member === 'object' ? (ofKind.exec(text) ?? []) : []
  if (kinds[named]) return `${say(kinds[named])} ${id}`
  return Object.hasOwn(others, text) ? say(others[text]!) : text
}

/** A number, a word or a code as text; nothing else is one. */
export function plain(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : ''
}
