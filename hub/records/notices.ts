import { Type } from 'typebox'
import { filter, listPage, type Asked, type Listing, type Page } from './listing.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Role } from './roles.ts'
import type { Query } from '../store/store.ts'

/** Whom a notice is for: one person; everybody with a role in an agency; everybody with that role wherever they are (the city's offices). */
export type Recipient = { person: string } | { agency: string; role: Role } | { role: Role }

export interface NewNotice {
  to: Recipient | readonly Recipient[]
  /** What it is about, in kebab-case: `duty-overdue`, `application-submitted`. */
  kind: string
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
  object: string
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
  select: `select n.id, n.at, n.kind, n.object, n.zh, n.en, ${readMark} as read from notice n where ${forReader}`,
  filters: {
    kind: filter.equal('kind', Type.String({ minLength: 1, maxLength: 40 })),
    unread: filter.where((place) => `(${place}::text = 'false' or not l.read)`, Type.Enum(['true', 'false'])),
    object: filter.equal('object'),
    text: filter.holds('zh', 'en'),
    from: filter.from('at'),
    to: filter.to('at'),
  },
  sorts: { id: 'bigint' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listNotices(query: Query, reader: Reader, asked: Asked = {}): Promise<Page<Notice>> {
  return listPage(query, noticeList, values(reader), asked)
}

export async function countUnread(query: Query, reader: Reader): Promise<number> {
  const [row] = await query<{ count: number }>(
    `select count(*)::int as count from notice n where ${forReader} and not ${readMark}`,
    values(reader),
  )
  return row!.count
}

/** Marks as read, for this person alone, those of the given notices that are for them; all of them where `ids` is left out. */
export async function markRead(query: Query, reader: Reader, now: Date, ids?: readonly string[]): Promise<void> {
  await query(
    `insert into notice_read (notice, person, at) select n.id, $1, $5 from notice n
     where $1::bigint is not null and ${forReader} and ($4::bigint[] is null or n.id = any($4)) on conflict do nothing`,
    [...values(reader), ids ?? null, now],
  )
}

/** A reason behind what is told; nothing where there is none. */
export function reasonGiven(reason: string | undefined): LocalizedText {
  return reason === undefined ? { zh: '', en: '' } : { zh: `：${reason}`, en: `: ${reason}` }
}
