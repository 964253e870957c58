/** Webhooks of grants in mode API: who receives changes without asking, where, and how far they are. */
import { readText, type LocalizedText } from '../../../protocol/localized.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import { writeAudit } from '../../records/audit.ts'
import { notFound, rule } from '../../records/refusals.ts'
import { change, type Registry } from '../../records/registry.ts'
import { requireGrant } from '../../registry/grants/grants.ts'
import { record } from '../../records/history.ts'
import type { Query } from '../../store/store.ts'
import { comparePlaces } from '../changes.ts'
import { clientId } from '../clients.ts'
import { allowedAddresses, requireUrl, type PostDeps } from './post.ts'

export interface Webhook {
  id: string
  grant: string
  name: string
  url: string
  /** active; held: given up for now; ended. */
  state: 'active' | 'held' | 'ended'
  /** Up to where its receiver took everything; null before the first portion of a copy. */
  place: string | null
  /** Whether the copy was whole there. */
  whole: boolean
  /** Of the newest portion. */
  delivery: number
  attempts: number
  fault: string | LocalizedText | null
  failedSince: Date | null
  nextAt: Date | null
  deliveredAt: Date | null
  createdBy: string
  created: Date
  ended: Date | null
}

/** Webhooks of one grant that work at once. */
const most = 3

type Checking = Pick<PostDeps, 'settings' | 'resolve'>

/** Makes a webhook of a grant in mode API; its first portion begins a copy. Throws QZ-WEBHOOK-URL, QZ-RULE. */
export async function createWebhook(
  registry: Registry,
  checking: Checking,
  principal: Principal,
  grantId: string,
  { name, url }: { name: string; url: string },
): Promise<Webhook> {
  await checkUrl(checking, url)
  return change(registry, async (query) => {
    await query('select from access_grant where id = $1 for no key update', [grantId])
    const grant = await requireGrant(query, grantId)
    if (grant.mode !== 'api') throw rule('只有数据接口方式的授权可以推送', 'only grants in mode API have webhooks')
    if (!['active', 'suspended', 'held'].includes(grant.state)) throw rule('授权已终止', 'the grant has ended')
    const live = await query(
      'select from webhook h join api_client c on c.id = h.client where c.access_grant = $1 and c.ended_at is null',
      [grantId],
    )
    if (live.length >= most) throw rule(`一项授权至多 ${most} 个推送`, `a grant has at most ${most} webhooks at once`)
    const id = clientId('qzw')
    const now = registry.clock()
    await query('insert into api_client (id, access_grant, name, created_by, created_at) values ($1, $2, $3, $4, $5)', [
      id,
      grantId,
      name,
      principal.actor,
      now,
    ])
    await query('insert into webhook (client, url, next_at) values ($1, $2, $3)', [id, url, now])
    await writeAudit(query, {
      ...actedBy(principal),
      act: 'webhook.create',
      object: id,
      details: { grant: grantId, name, url: withoutQuery(url) },
    })
    return requireWebhook(query, id)
  })
}

async function checkUrl(checking: Checking, url: string): Promise<void> {
  await allowedAddresses(checking, requireUrl(url, checking.settings))
}

interface OfGrant {
  grant: string
  id: string
}

/** Another name or address; it goes on from where it is. Throws QZ-NOT-FOUND, QZ-RULE, QZ-WEBHOOK-URL. */
export async function changeWebhook(
  registry: Registry,
  checking: Checking,
  principal: Principal,
  { grant, id }: OfGrant,
  { name, url }: { name?: string | undefined; url?: string | undefined },
): Promise<Webhook> {
  if (url !== undefined) await checkUrl(checking, url)
  return change(registry, async (query) => {
    await lockLive(query, grant, id)
    await query('update api_client set name = coalesce($2, name) where id = $1', [id, name ?? null])
    await query('update webhook set url = coalesce($2, url) where client = $1', [id, url ?? null])
    // In the grant's history: whoever edits it names what they saw of it.
    const { state } = await requireGrant(query, grant)
    const input = { webhook: id, name, ...(url !== undefined && { url: withoutQuery(url) }) }
    await record(query, { workflow: 'grant', object: grant, event: 'webhook', from: state, to: state, principal, input })
    return requireWebhook(query, id)
  })
}

/** Nothing is sent any more, at once. The same again changes nothing. Throws QZ-NOT-FOUND. */
export async function endWebhook(registry: Registry, principal: Principal, { grant, id }: OfGrant): Promise<Webhook> {
  return change(registry, async (query) => {
    const hook = await lockWebhook(query, grant, id)
    if (hook.ended) return hook
    await query('update api_client set ended_at = $2 where id = $1', [id, registry.clock()])
    await writeAudit(query, { ...actedBy(principal), act: 'webhook.end', object: id, details: { grant } })
    return requireWebhook(query, id)
  })
}

export interface Replay {
  /** `here`: with the portion that was not taken; `beginning`: a new copy; `behind`: without that portion, which is never sent. */
  from?: 'here' | 'beginning' | 'behind' | undefined
  /** From a place that the receiver has, its `next`: for one that was restored. Never ahead of what it took. */
  after?: string | undefined
}

/** Goes on sending, at once. Throws QZ-NOT-FOUND, QZ-RULE, QZ-DATA-FILTER. */
export async function replayWebhook(
  registry: Registry,
  principal: Principal,
  { grant, id }: OfGrant,
  { from = 'here', after }: Replay,
): Promise<Webhook> {
  return change(registry, async (query) => {
    const hook = await lockLive(query, grant, id)
    const [{ next } = { next: null }] = await query<{ next: string | null }>('select portion_next as next from webhook where client = $1', [
      id,
    ])
    if (after !== undefined && from !== 'here') throw rule('from 与 after 只能写其一', 'give either from or after')
    if (after !== undefined && (hook.place === null || comparePlaces(after, hook.place) > 0))
      throw rule('接收方尚未收到该位置', 'its receiver has not come to that place yet')
    if (from === 'behind' && next === null) throw rule('没有可跳过的一批', 'there is no portion to be left out')
    const place = { here: after ?? hook.place, beginning: null, behind: next }[from]
    const anew = from !== 'here' || after !== undefined
    await query(
      `update webhook set state = 'active', attempts = 0, next_at = $2, place = $3, lease = null, leased_until = null,
         whole = whole and not $4::boolean,
         portion_next = case when $4 then null else portion_next end, portion_changes = case when $4 then null else portion_changes end,
         portion_whole = case when $4 then null else portion_whole end
       where client = $1`,
      [id, registry.clock(), place, anew],
    )
    await writeAudit(query, {
      ...actedBy(principal),
      act: 'webhook.replay',
      object: id,
      details: { grant, from, after, ...(from === 'behind' && { skipped: { delivery: hook.delivery, from: hook.place, to: next } }) },
    })
    return requireWebhook(query, id)
  })
}

async function lockWebhook(query: Query, grant: string, id: string): Promise<Webhook> {
  await query('select from webhook where client = $1 for no key update', [id])
  const hook = await requireWebhook(query, id)
  if (hook.grant !== grant) throw notFound('webhook', id)
  return hook
}

async function lockLive(query: Query, grant: string, id: string): Promise<Webhook> {
  const hook = await lockWebhook(query, grant, id)
  if (hook.ended) throw rule('推送已停用', 'the webhook has ended')
  return hook
}

const webhookSql = `
  select c.id, c.access_grant as grant, c.name, h.url, case when c.ended_at is not null then 'ended' else h.state end as state, h.place, h.whole,
    h.number::int as delivery, h.attempts, h.fault, h.failed_since as "failedSince",
    case when h.state = 'active' and c.ended_at is null and h.attempts > 0 then h.next_at end as "nextAt", h.delivered_at as "deliveredAt",
    c.created_by as "createdBy", c.created_at as created, c.ended_at as ended
  from webhook h join api_client c on c.id = h.client`

async function requireWebhook(query: Query, id: string): Promise<Webhook> {
  const [row] = await query<Webhook & { fault: string | null }>(`${webhookSql} where c.id = $1`, [id])
  if (!row) throw notFound('webhook', id)
  return shown(row)
}

/** What stands behind `?` may be a secret of the receiver's: it is shown to its agency alone, and in no audit. */
function withoutQuery(url: string): string {
  return url.replace(/\?.*$/s, '?…')
}

/** Of a grant, as an agency sees them. */
export async function listWebhooks(query: Query, grant: string, agency: string | null): Promise<Webhook[]> {
  const rows = await query<Webhook & { fault: string | null }>(`${webhookSql} where c.access_grant = $1 order by c.created_at, c.id`, [
    grant,
  ])
  return Promise.all(rows.map((row) => asSeenBy(query, shown(row), agency)))
}

/** A webhook as an agency sees it. */
export async function asSeenBy(query: Query, hook: Webhook, agency: string | null): Promise<Webhook> {
  const own = await query('select from access_grant where id = $1 and agency = $2', [hook.grant, agency])
  return own.length > 0 ? hook : { ...hook, url: withoutQuery(hook.url) }
}

function shown({ fault, ...row }: Webhook & { fault: string | null }): Webhook {
  return { ...row, fault: fault === null ? null : readText(fault) }
}
