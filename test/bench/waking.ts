/**
 * What an enrolment costs the hub's processor beside agents that wait in their polls, all of the same agency and each with a route of the same
 * resource; and what each of them holds in the hub's memory.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HubClient } from '../../agent/hub/client.ts'
import type { Registry } from '../../hub/records/registry.ts'
import { addAgency } from '../../hub/registry/agencies/agencies.ts'
import { addGrant } from '../../hub/registry/grants/grants.ts'
import { addRoute } from '../../hub/registry/grants/routes.ts'
import { enrol, issueToken } from '../../hub/registry/machines/enrolment.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { authorityPath } from '../../hub/store/durable-files.ts'
import { openStore } from '../../hub/store/store.ts'
import { Wakeups } from '../../hub/store/wakeups.ts'
import { generateSigningKey, type SigningKey } from '../../protocol/signature.ts'
import { pollRequest } from '../hub/exchange/fixture.ts'
import { Exchange } from '../support/exchange.ts'
import { startPostgres } from '../support/postgres.ts'
import type { Program } from '../support/programs.ts'
import { licencesResource } from './licences.ts'
import type { BenchOptions } from './main.ts'

const usual = [0, 50, 300]
const enrolments = 10

export async function measureWaking(
  { note }: Pick<BenchOptions, 'note'>,
  counts: readonly number[] = usual,
): Promise<Record<string, number>> {
  const server = await startPostgres()
  const url = await server.createDatabase()
  const exchange = await Exchange.start({ hub: { store: url } })
  const store = await openStore(url)
  const stop = new AbortController()
  try {
    const registry: Registry = { store, wakeups: new Wakeups(), clock: () => new Date() }
    for (const code of ['provider', 'water']) await addAgency(registry, 'admin', { code, name: code })
    await publishResource(registry, 'admin', { schema: licencesResource() })
    const { id: grant } = await addGrant(registry, 'admin', { resource: 'licences', agency: 'water', items: ['name'] })
    const ca = await readFile(authorityPath(join(exchange.folder, 'hub')), 'utf8')
    const connect = (key: SigningKey) => new HubClient({ urls: [exchange.url], key, ca, clock: () => new Date() })
    const token = async () => (await issueToken(registry, 'admin', 'water', 48)).secret
    const figures: Record<string, number> = {}
    let waiting = 0
    let empty = 0
    for (const count of counts) {
      for (; waiting < count; waiting++) {
        const key = generateSigningKey()
        const agent = await enrol(registry, { secret: await token(), publicKey: key.publicKey, name: 'waiting' })
        const route = await addRoute(registry, 'admin', grant, agent.id)
        void keepPolling(connect(key), route.id, stop.signal)
      }
      await rest(exchange.hub)
      const before = exchange.hub.cpuSeconds!
      for (let n = 0; n < enrolments; n++) {
        const key = generateSigningKey()
        const client = connect(key)
        await client.enrol({ secret: await token(), publicKey: key.publicKey, name: 'new' })
        await client.close()
        await rest(exchange.hub)
      }
      const ms = Math.round(((exchange.hub.cpuSeconds! - before) * 1000) / enrolments)
      note(`an enrolment beside ${count} waiting agents of its agency: ${ms} ms of the hub's processor`)
      figures[`enrolmentCpuMsBeside${count}`] = ms
      figures[`hubMbBeside${count}`] = Math.round(exchange.hub.memoryMb!)
      if (count === 0) empty = exchange.hub.memoryMb!
    }
    const kib = Math.round(((exchange.hub.memoryMb! - empty) * 1024) / waiting)
    note(`${waiting} waiting agents: ${kib} KiB of the hub's memory each`)
    return { ...figures, waitingAgentKib: kib }
  } finally {
    stop.abort()
    await store.close()
    await exchange.stop()
    await server.stop()
  }
}

/** As the real one does, with long waits and its newest policy. */
async function keepPolling(client: HubClient, route: string, signal: AbortSignal): Promise<void> {
  let serial = 0
  while (!signal.aborted) {
    try {
      const { header } = await client.poll(pollRequest([{ route }], { policy: serial, wait: 50 }), signal)
      if (header.policy)
        serial = (JSON.parse(Buffer.from(header.policy.split('.')[1]!, 'base64url').toString()) as { serial: number }).serial
    } catch {
      // A hub learns within a second of keys that were enrolled beside it.
      await sleep(200)
    }
  }
  await client.close()
}

/** Until the program has nothing to do any more. */
async function rest(program: Program): Promise<void> {
  for (let quiet = 0, last = program.cpuSeconds!; quiet < 3;) {
    await sleep(100)
    const now = program.cpuSeconds!
    quiet = now - last < 0.02 ? quiet + 1 : 0
    last = now
  }
}
