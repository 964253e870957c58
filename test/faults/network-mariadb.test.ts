/** Connections to MariaDB that the network has swallowed, at both ends: said, ended at the server too, and over by themselves. */
import t, { type Test } from 'tap'
import { longer } from '../support/longer.ts'
import { findMariadb } from '../support/mariadb.ts'
import { until } from '../support/programs.ts'
import { equal, faulted, flowing, logged, logLength, sinkOf, sourceOf, startLine, Writer, type Line } from './line.ts'

const mariadb = await findMariadb()

t.test('MariaDB', { skip: mariadb ? longer : 'MariaDB is not reachable' }, async (test) => {
  const [sourceUrl, targetUrl] = [await mariadb!.createDatabase(), await mariadb!.createDatabase()]
  test.teardown(() => Promise.all([sourceUrl, targetUrl].map((url) => mariadb!.dropDatabase(url))))
  const line = await startLine(test, { sourceUrl, targetUrl })
  const pids = [line.provider.program.pid, line.receiver.program.pid]

  await test.test('the source does not answer, the target hears and is not heard', async (test) => {
    const writer = new Writer(line)
    line.links.source.stall()
    line.links.target.halfOpen()
    await Promise.all([faulted(() => sourceOf(line), 'QZ-DB-UNREACHABLE'), faulted(() => sinkOf(line), 'QZ-DB-UNREACHABLE')])
    for (const link of [line.links.source, line.links.target]) link.resume()
    await over(test, line, writer)
  })

  await test.test('a firewall forgets the connection, and the server is there', async (test) => {
    const from = logLength(line.receiver)
    // Delivery asks for its session every five seconds: nothing else would be silent for so long.
    line.links.target.cutIdle(3_000)
    await until('nothing was applied for so long', async () => Date.now() - Date.parse((await sinkOf(line))!.lastApplied!) > 4_000)
    const writer = new Writer(line)
    await until('the log says what happened', () => logged(line.receiver, 'QZ-DB-UNREACHABLE', from))
    // The dead session still held the lock: the agent had it ended.
    await over(test, line, writer)
    test.notOk(logged(line.receiver, 'QZ-AGENT-CLONED', from), 'its lock was free at once')
    line.links.target.resume()
  })

  test.strictSame([line.provider.program.pid, line.receiver.program.pid], pids, 'nobody was restarted')
})

async function over(test: Test, line: Line, writer: Writer): Promise<void> {
  test.ok((await writer.stop()) > 0, 'rows were written meanwhile')
  await flowing(line)
  await equal(test, line)
}
