/** A receiver behind a one-way gap: real programs, and between them a gap that loses, doubles, delays and halves files. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { TestAgent } from '../support/exchange.ts'
import { Gap } from '../support/gap.ts'
import { peopleIn, startPeople, supplyPeople } from '../support/people.ts'
import { until } from '../support/programs.ts'
import { Random } from '../faults/random.ts'

t.test('rows pass a bad gap, and are equal in the end', async (t) => {
  const scene = await startPeople(500)
  const { exchange, source, target, targetUrl } = scene
  const provider = await supplyPeople(scene)
  const [out, back, inFolder, outFolder] = ['out', 'back', 'in', 'inner-out'].map((name) => join(exchange.folder, name)) as [
    string,
    string,
    string,
    string,
  ]
  const numbers = new Random(7)
  const random = () => numbers.next()
  const [inward, outward] = [new Gap(out, inFolder, random), new Gap(outFolder, back, random)]
  const outer = await exchange.enrol('outer', {
    agency: 'bureau',
    databases: {},
    folders: { out: { path: out }, back: { path: back } },
    sinks: [{ resource: 'people', folder: 'out', contents: 'batches', back: 'back' }],
    hub: { poll: 2 },
  })
  const { route, grant } = await exchange.grant('people', outer, ['id', 'name'])
  const options = {
    agency: 'bureau',
    databases: { inner: { url: targetUrl } },
    folders: { in: { path: inFolder, stable: 0.5, look: 1 }, out: { path: outFolder } },
    sinks: [{ resource: 'people', database: 'inner', table: 'people' }],
    hub: { gap: { in: 'in', out: 'out', grace: 1, again: 2 }, poll: 2 },
  }
  const inner = new TestAgent('inner', join(exchange.folder, 'inner'), options)
  inner.configure(options)
  t.teardown(async () => {
    await inner.program.end()
    await Promise.all([inward.end(), outward.end()])
    await scene.end()
  })
  provider.program.start()
  outer.program.start()

  await until('gap.json is through', () => readdirSync(inFolder).includes('gap.json'))
  const enrolled = await inner.commandLine('enroll', '--gap', 'in', '--lang', 'en')
  t.match(enrolled.stdout, new RegExp(`agent ${outer.id} of agency bureau`))
  const fingerprint = /key of this machine (\S+)/.exec(enrolled.stdout)![1]!
  await until('the key of the inside is through', () => readdirSync(back).includes('inner.json'))
  t.equal((await outer.commandLine('trust-gap', 'back', fingerprint)).code, 0)
  inner.program.start()

  const equal = (what: string, seconds = 60) =>
    until(what, async () => (await peopleIn(target)).join(';') === (await peopleIn(source)).join(';'), seconds)
  await equal('the first load is inside')

  inward.faults = { lost: 0.2, doubled: 0.3, halved: 0.2 }
  // Longer where nothing was lost yet: a slow machine puts much into few files.
  for (let round = 1; round <= 40 || (inward.lost === 0 && round <= 1000); round++) {
    await source.query(`insert into people values (${1000 + round}, '新${round}')`)
    await source.query(`update people set name = '改${round}' where id % 50 = ${round % 50}`)
    await source.query(`delete from people where id = ${round * 7}`)
    if (round === 15) await inner.program.end('SIGKILL')
    if (round === 18) inner.program.start()
    if (round === 26) await outer.program.end('SIGKILL')
    if (round === 30) outer.program.start()
    await sleep(30)
  }
  await equal('everything is inside in the end')
  t.ok(inward.lost > 0, `${inward.lost} files were lost on the way`)
  t.match(readFileSync(inner.program.log, 'utf8'), /QZ-GAP-MISSING/)
  t.match(readFileSync(outer.program.log, 'utf8'), /written again for the inside/)
  const sink = async (agent: TestAgent) => (await agent.report().catch(() => undefined))?.sinks[0]
  await until('the outer agent knows that all is applied inside', async () => {
    const report = await sink(outer)
    return report?.confirmed && report.confirmed.seq === report.position?.seq && !report.unconfirmed
  })
  t.match((await outer.command('status', '--lang', 'en')).stdout, /applied inside the gap up to/)

  // Without a way back the operator reads what is missing, and exports it.
  outward.closed = true
  const lostBefore = inward.lost
  inward.faults = { lost: 1, doubled: 0, halved: 0 }
  const { seq, epoch } = (await sink(inner))!.position!
  await source.query(`insert into people values (5000, '丢失')`)
  await until('the gap has lost it', () => inward.lost > lostBefore)
  const before = await sink(inner)
  t.match(before?.position, { seq })
  inward.faults = { lost: 0, doubled: 0, halved: 0 }
  await source.query(`insert into people values (5001, '其后')`)
  const held = await until('the inside names it', async () => {
    const report = await sink(inner)
    return report?.fault?.code === 'QZ-GAP-MISSING' && report
  })
  const words = /qianzhi-agent (export \S+ \S+?)(?: at|\()/.exec(held.fault!.en)![1]!.split(' ')
  t.strictSame(words, ['export', route, `${epoch}-${seq + 1}`])
  await outer.commandLine(...words)
  await equal('what was exported is inside')
  await until('the inside is well', async () => !(await sink(inner))?.fault)

  // Another item is granted: both sides fill anew, from the same snapshot. Should the inside clear files away before it has the policy, it
  // asks for them.
  outward.closed = false
  await exchange.office('grant', 'items', grant, 'id,name,phone')
  const phones = async () => (await target.query('select count(*), count(phone) from people'))[0]!
  await until('the new item is inside, of every row', async () => {
    const [count, known] = await phones()
    return count === known && Number(count) > 0
  })
  await equal('and nothing else has changed')
})
