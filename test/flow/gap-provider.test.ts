/** A provider behind a one-way gap: real programs; its batches reach the hub through another agent of its agency, signed by itself. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Random } from '../faults/random.ts'
import { TestAgent } from '../support/exchange.ts'
import { Gap } from '../support/gap.ts'
import { people, peopleIn, startPeople } from '../support/people.ts'
import { until } from '../support/programs.ts'

t.test('what is signed inside is stored by the hub, and delivered', async (t) => {
  const scene = await startPeople(300)
  const { exchange, source, sourceUrl, target, targetUrl } = scene
  const [innerOut, arrived, innerIn, back] = ['inner-out', 'arrived', 'inner-in', 'back'].map((name) => join(exchange.folder, name)) as [
    string,
    string,
    string,
    string,
  ]
  const numbers = new Random(11)
  const random = () => numbers.next()
  const [outward, inward] = [new Gap(innerOut, arrived, random), new Gap(back, innerIn, random)]
  const receiver = await exchange.enrol('receiver', {
    agency: 'bureau',
    databases: { front: { url: targetUrl } },
    sinks: [{ resource: 'people', database: 'front', table: 'people' }],
    hub: { poll: 2 },
  })
  const outer = await exchange.enrol('outer', {
    agency: 'police',
    databases: {},
    folders: { arrived: { path: arrived, stable: 0.5, look: 1 }, back: { path: back } },
    carry: [{ folder: 'arrived', back: 'back', grace: 1 }],
    hub: { poll: 2 },
  })
  const options = {
    agency: 'police',
    databases: { front: { url: sourceUrl } },
    folders: { out: { path: innerOut }, in: { path: innerIn, stable: 0.5, look: 1 } },
    sources: [{ resource: 'people', database: 'front', table: 'people' }],
    hub: { gap: { in: 'in', out: 'out' }, poll: 2 },
  }
  const inner = new TestAgent('inner', join(exchange.folder, 'inner'), options)
  inner.configure(options)
  t.teardown(async () => {
    await inner.program.end()
    await Promise.all([inward.end(), outward.end()])
    await scene.end()
  })

  t.match((await inner.command('enroll', '--gap', 'in', '--lang', 'en')).stdout, /inner\.json is written/)
  await until('its key is outside', () => readdirSync(arrived).includes('inner.json'))
  const { token } = await exchange.office('token', 'police')
  const enrolled = await outer.commandLine('enroll', String(token), '--carry', 'arrived', '--lang', 'en')
  inner.id = /agent inside: (\S+) of agency police/.exec(enrolled.stdout)![1]!
  await until('its policy is inside', () => readdirSync(innerIn).includes('gap.json'))
  t.match((await inner.command('enroll', '--gap', 'in', '--lang', 'en')).stdout, new RegExp(`agent ${inner.id} of agency police`))
  await exchange.publish(people, '--producer', inner.id)
  await exchange.grant('people', receiver, ['id', 'name'])
  outer.program.start()
  receiver.program.start()
  const handed = () => readFileSync(join(innerIn, 'gap.json'), 'utf8')
  await until('the policy with the resource is inside', () => handed().includes('"people"'))
  await inner.command('setup')
  inner.program.start()

  const equal = (what: string, seconds = 60) =>
    until(what, async () => (await peopleIn(target)).join(';') === (await peopleIn(source)).join(';'), seconds)
  await equal('the first load is delivered')

  outward.faults = { lost: 0.15, doubled: 0.3, halved: 0.2 }
  // Longer where nothing was lost yet: a slow machine puts much into few files.
  for (let round = 1; round <= 30 || (outward.lost === 0 && round <= 1000); round++) {
    await source.query(`insert into people values (${1000 + round}, '新${round}')`)
    await source.query(`delete from people where id = ${round * 7}`)
    if (round === 10) await inner.program.end('SIGKILL')
    if (round === 12) inner.program.start()
    if (round === 20) await outer.program.end('SIGKILL')
    if (round === 22) outer.program.start()
    await sleep(30)
  }
  outward.faults = { lost: 0, doubled: 0, halved: 0 }
  await equal('everything is delivered in the end')
  t.ok(outward.lost > 0, `${outward.lost} files were lost on the way`)
  t.match(readFileSync(inner.program.log, 'utf8'), /written again for the outside/)
  const carried = async () => (await outer.report().catch(() => undefined))?.sources.find(({ resource }) => resource === 'people')
  await until('the outer agent says that all is brought', async () => {
    const report = await carried()
    return report?.state === 'flowing' && report.waiting === 0
  })

  // The machine inside is put back to an older state: its data folder knows nothing of what it sent.
  await inner.program.end()
  rmSync(join(inner.folder, 'data', 'gaps'), { recursive: true })
  inner.program.start()
  await source.query(`update people set name = '改' where id = 1001`)
  await equal('a new epoch is delivered')
  await until('nothing is held', async () => (await carried())?.state === 'flowing')
})
