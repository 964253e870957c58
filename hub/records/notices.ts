import { Type } from 'typebox'
import { filter, listPage, type Asked, type Listing, type Page } from './listing.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { objectTitle } from './object-titles.ts'
import type { Role } from './roles.ts'
import type { Query } from '../store/store.ts'

/** Whom a notice is for: one person; everybody with a role in an agency; everybody with that role wherever they are (the city's offices). */
export type Recipient = { person: string } | { agency: string; role: Role } | { role: Role }

/** What notices are about, as people choose among them. */
export const noticeKinds = {
  'agency-name': { zh: '机关单位重名', en: 'agencies of one name' },
  'agency-responsible': { zh: '负责人或联系人缺位', en: 'a responsible person is missing' },
  'agency-rules': { zh: '内部管理制度', en: 'internal rules' },
  agent: { zh: '前置机', en: 'machine' },
  application: { zh: '共享申请', en: 'application' },
  'application-consent': { zh: '征求提供单位意见', en: 'consent is asked for' },
  'calendar-missing': { zh: '缺工作日日历', en: 'a calendar is wanted' },
  clock: { zh: '平台时钟', en: "the hub's clock" },
  'columns-added': { zh: '来源表新增列', en: 'new columns' },
  correction: { zh: '数据更正', en: 'correction' },
  'deadline-missed': { zh: '办理逾期', en: 'a deadline is missed' },
  'deadline-warning': { zh: '办理将到期', en: 'a deadline is near' },
  declaration: { zh: '说明与报告', en: 'declaration' },
  demand: { zh: '目录外需求', en: 'demand' },
  'duty-overdue': { zh: '更新逾期', en: 'an update is overdue' },
  'duty-warning': { zh: '更新将到期', en: 'an update is due soon' },
  'evaluation-published': { zh: '评估结果公布', en: 'an evaluation is published' },
  'file-refused': { zh: '文件被退回', en: 'files are refused' },
  grant: { zh: '授权', en: 'grant' },
  'grant-held': { zh: '授权待确认', en: 'a grant is held' },
  'key-created': { zh: '签发密钥', en: 'a key is issued' },
  'line-held': { zh: '交换链路停住', en: 'a line is held' },
  'line-over': { zh: '交换链路恢复', en: 'a line goes on' },
  machine: { zh: '前置机申请', en: 'machine application' },
  'morning-here': { zh: '早报已收到', en: 'a morning line is here' },
  'morning-missing': { zh: '早报未收到', en: 'a morning line is missing' },
  'open-feedback': { zh: '公众反馈', en: 'feedback of the public' },
  opening: { zh: '对外开放', en: 'open data' },
  order: { zh: '责令改正', en: 'order' },
  'person-factor': { zh: '动态验证码重置', en: 'a second factor is reset' },
  'person-handover': { zh: '工作移交', en: 'work is handed over' },
  'person-invited': { zh: '账户激活', en: 'an account is to be activated' },
  'person-locked': { zh: '账户锁定', en: 'an account is locked' },
  'person-readmitted': { zh: '管理员重设', en: 'an administrator is readmitted' },
  'person-roles': { zh: '角色变更', en: 'roles have changed' },
  publication: { zh: '公开授权请求', en: 'publishing request' },
  'reconciliation-different': { zh: '对账不一致', en: 'a reconciliation differs' },
  registration: { zh: '目录登记', en: 'registration' },
  resource: { zh: '信息资源', en: 'resource' },
  'resource-title': { zh: '资源重名', en: 'resources of one title' },
  'standard-changed': { zh: '数据标准更新', en: 'a standard has changed' },
  'standard-withdrawn': { zh: '数据标准废止', en: 'a standard is withdrawn' },
  'webhook-held': { zh: '推送停住', en: 'a webhook is held' },
} as const satisfies Record<string, LocalizedText>

export type NoticeKind = keyof typeof noticeKinds

export interface NewNotice {
  to: Recipient | readonly Recipient[]
  kind: NoticeKind
  /** `<kind of object> <id>` as in the audit: `application 7`, `resource villages`. */
  object: string
  zh: string
  en: string
}

/** Stored in the transaction of the act, so that there is a notice exactly if it happened. E-mail follows by itself (mail.ts). */
export async function notify(query: Query, { to, kind, object, zh, en }: NewNotice): Promise<void> {
  for (const recipient of Array.isArray(to) ? (to as readonly Recipient[]) : [to as Recipient]) {
    const { person, agency, role }: { person?: string; agency?: string; role?: string } = recipient
    await query('insert into notice (person, agency, role, kind, object, zh, en) values ($1, $2, $3, $4, $5, $6, $7)', [
      person,
      agency,
      role,
      kind,
      object,
      zh,
      en,
    ])
  }
}

/** Who reads: a principal, or anything with these of it. */
export interface Reader {
  person: string | null
  agency: string | null
  roles: readonly string[]
}

export interface Notice {
  id: string
  at: Date
  kind: string
  kindName: LocalizedText
  /** What it is about; `title`: what people call it, null where it has none, or is gone. */
  object: { kind: string; id: string; title: string | null }
  zh: string
  en: string
  read: boolean
}

/** SQL: notice `n` is for reader $1 person, $2 agency, $3 roles. */
const forReader = `(n.person = $1::bigint or n.role = any($3::text[]) and (n.agency is null or n.agency = $2))`
const readMark = `exists (select from notice_read m where m.notice = n.id and m.person = $1::bigint)`

const values = ({ person, agency, roles }: Reader) => [person, agency, roles]

/** What a reader may see, newest first. */
export const noticeList = {
  select: `select n.id, n.at, n.kind, n.object, ${objectTitle('n.object')} as title, n.zh, n.en, ${readMark} as read from notice n where ${forReader}`,
  filters: {
    kind: filter.among('kind', Object.keys(noticeKinds)),
    unread: filter.where((place) => `(${place}::text = 'false' or not l.read)`, Type.Enum(['true', 'false'])),
    object: filter.equal('object'),
    text: filter.holds('zh', 'en', 'title'),
    from: filter.from('at'),
    to: filter.to('at'),
  },
  sorts: { id: 'bigint' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

type Row = Omit<Notice, 'kindName' | 'object'> & { object: string; title: string | null }

export async function listNotices(query: Query, reader: Reader, asked: Asked = {}): Promise<Page<Notice>> {
  const page = await listPage<Row>(query, noticeList, values(reader), asked)
  return { ...page, items: page.items.map(told) }
}

function told({ object, title, ...row }: Row): Notice {
  const [kind = '', ...id] = object.split(' ')
  const kindName = (noticeKinds as Record<string, LocalizedText>)[row.kind] ?? { zh: row.kind, en: row.kind }
  return { ...row, kindName, object: { kind, id: id.join(' '), title } }
}

export async function countUnread(query: Query, reader: Reader): Promise<number> {
  const [row] = await query<{ count: number }>(
    `select count(*)::int as count from notice n where ${forReader} and not ${readMark}`,
    values(reader),
  )
  return row!.count
}

/** Which notices: by their ids, or all about an object; all of them where neither is given. */
export interface Which {
  ids?: readonly string[]
  object?: { kind: string; id: string }
}

/** Marks as read, for this person alone, those of them that are for them. */
export async function markRead(query: Query, reader: Reader, now: Date, { ids, object }: Which = {}): Promise<void> {
  await query(
    `insert into notice_read (notice, person, at) select n.id, $1, $6 from notice n
     where $1::bigint is not null and ${forReader} and ($4::bigint[] is null or n.id = any($4)) and ($5::text is null or n.object = $5)
     on conflict do nothing`,
    [...values(reader), ids ?? null, object ? `${object.kind} ${object.id}`.trim() : null, now],
  )
}

/** A reason behind what is told; nothing where there is none. */
export function reasonGiven(reason: string | undefined): LocalizedText {
  return reason === undefined ? { zh: '', en: '' } : { zh: `：${reason}`, en: `: ${reason}` }
}
