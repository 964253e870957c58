/** How soon a revocation is in force at a connected agent: from the office's act to the agent's new policy, opened and verified. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { HubClient } from '../../agent/hub/client.ts'
import { defaults } from '../../hub/config.ts'
import { startHub, type Hub } from '../../hub/hub.ts'
import { authorityPath } from '../../hub/store/durable-files.ts'
import { addAgency } from '../../hub/registry/agencies/agencies.ts'
import { enrol, issueToken } from '../../hub/registry/machines/enrolment.ts'
import { addGrant, setGrantState } from '../../hub/registry/grants/grants.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { addRoute } from '../../hub/registry/grants/routes.ts'
import { openPolicy, type Policy } from '../../protocol/policy.ts'
import { generateSigningKey } from '../../protocol/signature.ts'
import { pollRequest } from '../hub/exchange/fixture.ts'
import { licencesResource } from './licences.ts'
import type { BenchOptions } from './main.ts'
import { percentiles } from './percentiles.ts'

const agents = 10
const revocations = 50

export async function measureRevocation({ note }: BenchOptions): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-revocation-'))
  const config = { ...defaults(), data: folder, listen: { host: '127.0.0.1', port: 0 } }
  const hub = await startHub(config, { logger: pino({ level: 'silent' }) })
  const stop = new AbortController()
  try {
    await addAgency(hub.registry, 'admin', { code: 'provider', name: '市场监督管理局' })
    await addAgency(hub.registry, 'admin', { code: 'water', name: '水务局' })
    await publishResource(hub.registry, 'admin', { schema: licencesResource() })
    const receivers: Receiver[] = []
    for (let i = 0; i < agents; i++) receivers.push(await connect(hub, folder, stop.signal))
    const times = await revokeAll(hub, receivers)
    const { p50, p95, longest } = percentiles(times)
    note(`${revocations} revocations, ${agents} agents connected: in force after p50 ${p50} ms, p95 ${p95} ms, longest ${longest} ms`)
    return { revocationMs: p95, revocationMsP50: p50, revocationMsLongest: longest }
  } finally {
    stop.abort()
    await hub.close()
    await rm(folder, { recursive: true, force: true })
  }
}

interface Receiver {
  agent: string
  /** Resolves when the newest policy fulfils this. */
  until: (condition: (policy: Policy) => boolean) => Promise<void>
}

/** An agent that polls over HTTPS as the real one does, with long waits. */
async function connect(hub: Hub, folder: string, signal: AbortSignal): Promise<Receiver> {
  const key = generateSigningKey()
  const { secret } = await issueToken(hub.registry, 'admin', 'water', 48)
  const agent = await enrol(hub.registry, { secret, publicKey: key.publicKey, name: 'front-end machine' })
  const ca = await readFile(authorityPath(folder), 'utf8')
  const client = new HubClient({ urls: [`https://127.0.0.1:${hub.port}`], key, ca, clock: () => new Date() })
  let policy: Policy | undefined
  const waiting = new Set<() => void>()
  const keepPolling = async (): Promise<void> => {
    while (!signal.aborted) {
      const routes = (policy?.receive ?? []).map(({ route }) => ({ route }))
      const { header } = await client.poll(pollRequest(routes, { policy: policy?.serial ?? 0, wait: 25 }), signal)
      if (header.policy) policy = openPolicy(header.policy, hub.hubKey.publicKey, agent.id, policy?.serial ?? 0)
      for (const look of waiting) look()
    }
  }
  const polling = keepPolling()
  polling.catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
  const until = async (condition: (policy: Policy) => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = (): void => {
      if (policy && condition(policy)) resolve()
    }
    waiting.add(look)
    look()
    await Promise.race([promise, polling])
    waiting.delete(look)
  }
  return { agent: agent.id, until }
}

async function revokeAll({ registry }: Hub, receivers: readonly Receiver[]): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < revocations; n++) {
    const { agent, until } = receivers[n % receivers.length]!
    const { id } = await addGrant(registry, 'admin', { id: `g${n}`, resource: 'licences', agency: 'water', items: ['name'] })
    const route = await addRoute(registry, 'admin', id, agent)
    const has = (policy: Policy): boolean => policy.receive.some((receive) => receive.route === route.id)
    await until(has)
    // Until the agent waits in its next poll, as agents do nearly all the time.
    await sleep(30 + (n % 7) * 20)
    const began = performance.now()
    await setGrantState(registry, 'admin', id, 'revoked', 'benchmark')
    await until((policy) => !has(policy))
    times.push(performance.now() - began)
  }
  return times
}
