/**
 * The network between agents and hub, under writes: dropped, stalled, half-open, idle connections forgotten. Each is said with its
 * code while it lasts, and afterwards both ends are equal without anybody having restarted anything. Databases: network-database.test.ts.
 */
import t, { type Test } from 'tap'
import type { Proxy } from '../support/proxy.ts'
import { equal, faulted, flowing, logged, sinkOf, sourceOf, startLine, Writer } from './line.ts'
import { until } from '../support/programs.ts'

const line = await startLine(t)
const pids = [line.provider.program.pid, line.receiver.program.pid]
const links = [line.links.providerHub, line.links.receiverHub]

const troubles: Record<string, (link: Proxy) => void> = {
  'refuses connections': (link) => link.drop(),
  'does not answer': (link) => link.stall(),
  'hears and is not heard': (link) => link.halfOpen(),
}

for (const [what, trouble] of Object.entries(troubles)) {
  t.test(`the hub ${what}`, async (test) => {
    const writer = new Writer(line)
    for (const link of links) trouble(link)
    await unreachable()
    for (const link of links) link.resume()
    await over(test, writer)
    for (const agent of [line.provider, line.receiver])
      test.ok(await until('the log says so', () => logged(agent, 'QZ-HUB-UNREACHABLE')), `${agent.name} logs the code`)
  })
}

t.test('a hub that is back is no fault any more, also where there is nothing to send', async () => {
  for (const link of links) link.drop()
  await faulted(() => sinkOf(line), 'QZ-HUB-UNREACHABLE')
  for (const link of links) link.resume()
  await flowing(line)
})

t.test('a firewall forgets connections that were idle', async (test) => {
  // Nothing is written, so a poll is held for two seconds: its connection is forgotten meanwhile.
  for (const link of links) link.cutIdle(300)
  await faulted(() => sinkOf(line), 'QZ-HUB-UNREACHABLE')
  const writer = new Writer(line)
  for (const link of links) link.resume()
  await over(test, writer)
})

/** Seconds within which silence must be noticed: an answer's time-out and a poll's wait. */
async function unreachable(seconds = 60): Promise<void> {
  await Promise.all([
    faulted(() => sourceOf(line), 'QZ-HUB-UNREACHABLE', seconds),
    faulted(() => sinkOf(line), 'QZ-HUB-UNREACHABLE', seconds),
  ])
}

async function over(test: Test, writer: Writer): Promise<void> {
  test.ok((await writer.stop()) > 0, 'rows were written meanwhile')
  await flowing(line)
  await equal(test, line)
  test.strictSame([line.provider.program.pid, line.receiver.program.pid], pids, 'nobody was restarted')
}
