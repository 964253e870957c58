/** The same troubles between each agent and its database: said, endured, and over by themselves. */
import t, { type Test } from 'tap'
import { until } from '../support/programs.ts'
import type { Proxy } from '../support/proxy.ts'
import { equal, faulted, flowing, logged, logLength, sinkOf, sourceOf, startLine, Writer } from './line.ts'

const line = await startLine(t)
const pids = [line.provider.program.pid, line.receiver.program.pid]
const links = [line.links.source, line.links.target]

const troubles: Record<string, (link: Proxy) => void> = {
  'refuses connections': (link) => link.drop(),
  'does not answer': (link) => link.stall(),
  'hears and is not heard': (link) => link.halfOpen(),
}

for (const [what, trouble] of Object.entries(troubles)) {
  t.test(`the database ${what}`, async (test) => {
    const writer = new Writer(line)
    trouble(line.links.target)
    await until('the provider goes on while the receiver cannot write', async () => {
      const [source, sink] = [await sourceOf(line), await sinkOf(line)]
      return (source?.position?.seq ?? 0) > (sink?.position?.seq ?? 0) + 3
    })
    trouble(line.links.source)
    await Promise.all([faulted(() => sourceOf(line), 'QZ-DB-UNREACHABLE'), faulted(() => sinkOf(line), 'QZ-DB-UNREACHABLE')])
    for (const link of links) link.resume()
    await over(test, writer)
    for (const agent of [line.provider, line.receiver])
      test.ok(await until('the log says so', () => logged(agent, 'QZ-DB-UNREACHABLE')), `${agent.name} logs the code`)
  })
}

t.test('a firewall forgets a connection that was idle', async (test) => {
  // A source is looked at every second: only a target may be silent for longer.
  const from = logLength(line.receiver)
  line.links.target.cutIdle(3_000)
  await until('nothing was applied for so long', async () => Date.now() - Date.parse((await sinkOf(line))!.lastApplied!) > 4_000)
  const writer = new Writer(line)
  await until('the log says what happened', () => logged(line.receiver, 'QZ-DB-UNREACHABLE', from))
  // The dead session still held the lock: the agent had it ended.
  await over(test, writer)
  line.links.target.resume()
})

async function over(test: Test, writer: Writer): Promise<void> {
  test.ok((await writer.stop()) > 0, 'rows were written meanwhile')
  await flowing(line)
  await equal(test, line)
  test.strictSame([line.provider.program.pid, line.receiver.program.pid], pids, 'nobody was restarted')
}
