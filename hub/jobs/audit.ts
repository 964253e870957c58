import type { Principal } from '../access/principal.ts'
import type { Registry } from '../records/registry.ts'
import type { Query, Store } from '../store/store.ts'
import { verifyChain, type ChainVerified } from '../supervision/audit/verify-store.ts'
import { addJob, findJob, type Job } from './jobs.ts'
import type { JobWork } from './runner.ts'

/** What the last verification of the audit found; it stays when its job is forgotten. */
export interface LastVerified extends ChainVerified {
  at: string
  by: string
}

const key = 'audit verified'
const step = 'verify'

/** The work: looks through the whole chain, and keeps what it found. */
export function auditJob({ store, clock }: { store: Store; clock: () => Date }): JobWork {
  return async ({ job, progress }) => {
    const found = await verifyChain(store, (done, total) => progress(step, done, total))
    const kept: LastVerified = { ...found, at: clock().toISOString(), by: job.by.actor }
    await store.query('insert into setting (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value', [
      key,
      JSON.stringify(kept),
    ])
    return found
  }
}

/** Begins to verify the audit; who asks while somebody's verification is under way is given that one. */
export function verifyAudit(registry: Registry, who: Principal): Promise<Job> {
  const made = { kind: 'audit.verify', object: 'audit', request: {}, same: 'audit' } as const
  return addJob(registry, who, made, { stands: async () => false })
}

/** The verification that is under way, or was asked for last, while it is remembered; and what the last one found. */
export async function readVerification(query: Query): Promise<{ job: Job | null; last: LastVerified | null }> {
  const [newest] = await query<{ id: string }>(`select id from job where kind = 'audit.verify' order by id desc limit 1`)
  const [kept] = await query<{ value: string }>('select value from setting where key = $1', [key])
  return {
    job: newest ? ((await findJob(query, newest.id)) ?? null) : null,
    last: kept ? (JSON.parse(kept.value) as LastVerified) : null,
  }
}
