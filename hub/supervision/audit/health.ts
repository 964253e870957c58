import type { Query } from '../../store/store.ts'

const patience = 60

/** What is wrong with the audit: entries that nobody seals. Judged by the store's clock, which gave them their time. */
export async function auditProblems(query: Query): Promise<{ code: string; zh: string; en: string }[]> {
  const [oldest] = await query<{ seconds: number }>(
    `select extract(epoch from clock_timestamp() - e.at)::int as seconds
     from (select entry from audit_unsealed order by entry limit 1) waiting join audit_entry e on e.id = waiting.entry`,
  )
  if (!oldest || oldest.seconds < patience) return []
  const { seconds } = oldest
  return [
    {
      code: 'QZ-HEALTH-AUDIT-UNSEALED',
      zh: `审计记录已 ${seconds} 秒未封存，原因见中心日志`,
      en: `Entries of the audit have waited ${seconds} s for their seal: the hub's log says why`,
    },
  ]
}
