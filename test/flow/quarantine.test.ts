/** The commands `quarantine` and `replay` at both ends of a running line: rows that no later change will bring are tried again. */
import t from 'tap'
import { villagesResource } from '../../config-examples/demo/villages.ts'
import type { QuarantinedKey } from '../../agent/database.ts'
import { sourceNames } from '../../agent/databases/postgres/setup.ts'
import { equal, logged, sinkOf, sourceOf, startLine, type Line } from '../faults/line.ts'
import type { TestAgent } from '../support/exchange.ts'
import { runProgram, until } from '../support/programs.ts'

t.test('quarantined rows are listed, and tried again when the cause is put right', async (test) => {
  const line = await startLine(test, { rows: 20, resource: roomy(), source: { valueLimit: 1024 } })
  const { provider, receiver, source, target, table, options } = line

  await test.test('at the source, after a change of the configuration', async (t) => {
    await source.query(`insert into villages values ('90', '长', '街', '区', '市', repeat('省', 1000))`)
    await until('it is set aside', async () => (await sourceOf(line))?.quarantine === 1)
    t.match(await listed(provider), [{ database: 'front', end: 'source', resource: 'villages', key: ['90'], item: 'province' }])
    const before = await delivered(line, '90')
    t.same(before, [], 'nothing was sent in its place')

    t.equal((await replay(provider, 'villages')).code, 0, 'what happens to it is seen later')
    await until('it is queued again', () => logged(provider, '1 keys are sent again'))
    const { queue } = sourceNames('villages')
    await until('it is read again', async () => (await source.query(`select 1 from ${queue}`)).length === 0)
    t.equal((await listed(provider)).length, 1, 'the limit still holds')

    await provider.program.end()
    provider.configure({ ...options.provider, sources: [{ resource: 'villages', database: 'front', table: 'villages' }] })
    provider.program.start()
    await until('it flows again', async () => (await sourceOf(line))?.state === 'flowing')
    t.equal((await listed(provider)).length, 1, 'nothing changed the row: it stays where it is')
    await replay(provider, 'villages')
    await equal(t, line)
    t.equal((await delivered(line, '90'))[0]?.[0]?.length, 1000)
    await until('the quarantine is empty', async () => (await listed(provider)).length === 0)
  })

  await test.test('at the target, after its own constraint is gone', async (t) => {
    await target.query(`alter table ${table} add constraint wanted check (name <> 'refuse me')`)
    await source.query(`update villages set name = 'refuse me' where code = '90'`)
    await until('it is set aside', async () => (await sinkOf(line))?.quarantine === 1)
    t.match(await listed(receiver, line.route), [
      { database: 'front', end: 'sink', route: line.route, key: ['90'], code: 'QZ-ROW-REFUSED', reason: /wanted/, kept: true },
    ])
    const inVain = await replay(receiver, 'villages')
    t.equal(inVain.code, 1, 'still refused')
    t.match(inVain.stdout, /1 row tried again, 0 applied, 1 left/)

    await target.query(`alter table ${table} drop constraint wanted`)
    // By itself, or because it was asked for.
    const done = await replay(receiver, line.route)
    t.equal(done.code, 0)
    t.match(done.stdout, / 0 left/)
    t.same(await listed(receiver), [])
    t.equal((await sinkOf(line))?.quarantine, 0)

    await target.query(`alter table ${table} add constraint wanted check (name <> 'refuse me too')`)
    await source.query(`update villages set name = 'refuse me too' where code = '90'`)
    await until('it is set aside', async () => (await sinkOf(line))?.quarantine === 1)
    await target.query(`alter table ${table} drop constraint wanted`)
    await until('it goes in by itself', async () => (await sinkOf(line))?.quarantine === 0)
    await equal(t, line)
  })

  await test.test('what is not there, or does not run, is an error', async (t) => {
    t.match(await replay(provider, 'nothing'), { code: 1, stderr: /QZ-NOT-FOUND/ })
    await receiver.program.end()
    t.match(await replay(receiver, 'villages'), { code: 1, stderr: /QZ-NOT-FOUND/ })
    t.same(await listed(receiver), [], 'listing needs no running agent')
  })
})

/** A province may be long. */
function roomy() {
  const resource = villagesResource()
  return { ...resource, items: resource.items.map((item) => (item.id === 'province' ? { ...item, length: 10_000 } : item)) }
}

async function listed(agent: TestAgent, ...words: string[]): Promise<QuarantinedKey[]> {
  return JSON.parse((await agent.command('quarantine', ...words, '--json')).stdout) as QuarantinedKey[]
}

function replay(agent: TestAgent, name: string) {
  return runProgram(['agent/main.ts', 'replay', name, '--lang', 'en', '--config', agent.configFile], { failing: true })
}

function delivered({ target, table }: Line, code: string) {
  return target.query(`select province from ${table} where code = $1`, [code])
}
