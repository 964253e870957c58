/** Long work: done by one hub at a time, taken up by another, ended, cancelled, forgotten. */
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { pino } from 'pino'
import t from 'tap'
import { UploadFolder, type Received } from '../../../hub/jobs/files.ts'
import { addJob, readJob, type Job } from '../../../hub/jobs/jobs.ts'
import { JobRunner, type JobContext, type JobWork } from '../../../hub/jobs/runner.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { openStore } from '../../../hub/store/store.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { openCity, type City } from '../city.ts'
import { refusal, villages } from '../office.ts'

interface Works {
  city: City
  uploads: UploadFolder
  folder: string
  add: (same?: string, upload?: Received) => Promise<Job>
  job: (id: string) => Promise<Job>
  runner: (work: JobWork, store?: City['store']) => JobRunner
}

async function open(test: Pick<typeof t, 'teardown'>): Promise<Works> {
  const city = await openCity(test)
  await publishResource(city, 'admin', { schema: villages() })
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-jobs-'))
  test.teardown(() => rmSync(folder, { recursive: true }))
  const uploads = new UploadFolder(folder)
  const who = city.as('civil', 'registrar').principal
  let count = 0
  return {
    city,
    uploads,
    folder,
    add: (same = String(++count), upload) =>
      addJob(city, who, {
        kind: 'excel.check',
        object: 'villages',
        request: {},
        same,
        ...(upload && { upload: { ...upload, name: 'a.xlsx' } }),
      }),
    job: (id) => readJob(city.store.query, id),
    runner: (work, store = city.store) => {
      const kinds = { 'excel.check': work, 'excel.import': work }
      const logger = pino({ level: 'silent' })
      const runner = new JobRunner({
        store,
        wakeups: city.wakeups,
        uploads,
        kinds,
        settings: { days: 7 },
        clock: () => city.clock(),
        logger,
      })
      test.teardown(() => runner.stop())
      return runner
    },
  }
}

void t.test('a file goes through the store, and nothing stays on disk', async (t) => {
  const { uploads, folder, add, job, runner, city } = await open(t)
  const bytes = Buffer.from(Array.from({ length: (2 << 20) + 12345 }, (_, i) => (i * 7919) >> 3))
  const received = await uploads.receive(Readable.from([bytes.subarray(0, 100), bytes.subarray(100)]), bytes.length)
  const { id } = await add('a', received)
  rmSync(received.path)
  await runner(async ({ file, progress }) => {
    await progress('read', 3, 10)
    const path = await file()
    return { equal: bytes.equals(await readFile(path)), folder: path.startsWith(folder) }
  }).settle()
  t.match(await job(id), {
    state: 'done',
    result: { equal: true, folder: true },
    step: 'read',
    done: 10,
    total: 10,
    attempts: 1,
    file: { size: bytes.length },
  })
  t.same(readdirSync(folder), [])
  t.equal(await refusal(uploads.receive(Readable.from([bytes]), bytes.length - 1)), 'QZ-UPLOAD')
  const cut = new Readable({
    read() {
      this.push(Buffer.alloc(1000))
      this.destroy(new Error('cut off'))
    },
  })
  await t.rejects(uploads.receive(cut, 1 << 20), /cut off/)
  t.same(readdirSync(folder), [], 'nothing of what was cut off or too large')
  writeFileSync(join(folder, 'left'), 'x')
  utimesSync(join(folder, 'left'), 0, 0)
  writeFileSync(join(folder, 'now'), 'x')
  await runner(async () => ({})).look()
  t.same(readdirSync(folder), ['now'], 'what a killed process left goes')
  city.now = new Date(city.now.getTime() + 6.9 * 86_400_000)
  await runner(async () => ({})).look()
  t.match(await job(id), { state: 'done' })
  city.now = new Date(city.now.getTime() + 0.2 * 86_400_000)
  await runner(async () => ({})).look()
  t.equal(await refusal(job(id)), 'QZ-NOT-FOUND', 'after a week it is forgotten')
  t.same(await city.store.query('select from job_file_part'), [])
})

void t.test('what the hub may not hold any more, it holds no uploads of', async (t) => {
  const { uploads, add, job, runner, city } = await open(t)
  const { id } = await add('a', await uploads.receive(Readable.from([Buffer.from('x')]), 10))
  await city.store.query(`update resource set secrecy = true`)
  await runner(async ({ file }) => ({ path: await file() })).settle()
  t.match(await job(id), { state: 'failed', problem: { code: 'QZ-NOT-FOUND' }, file: null })
  t.same(await city.store.query('select from job_file_part'), [])
})

void t.test('a job is done by one hub at a time, and taken up by another when that one ends', async (t) => {
  const { city, add, job, runner } = await open(t)
  const { id } = await add()
  const begun: string[] = []
  const waits = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const lost = Promise.withResolvers<void>()
  const store = await openStore(city.url)
  const first = runner(async ({ signal, progress }: JobContext) => {
    begun.push('first')
    signal.addEventListener('abort', () => lost.resolve())
    entered.resolve()
    await waits.promise
    signal.throwIfAborted()
    await progress('late', 1)
    return { by: 'first' }
  }, store)
  const second = runner(async () => {
    begun.push('second')
    return { by: 'second' }
  })
  await first.look()
  await entered.promise
  await second.settle()
  t.same(begun, ['first'], 'it is locked')
  // As when the process is killed: its connections end.
  // Other files use the same server.
  const here = '(select oid from pg_database where datname = current_database())'
  await city.store.query(
    `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = ${here} and pid <> pg_backend_pid()`,
  )
  await second.settle()
  t.match(await job(id), { state: 'done', result: { by: 'second' }, attempts: 2 })
  await lost.promise
  waits.resolve()
  await first.stop()
  await store.close()
  t.match(await job(id), { state: 'done', result: { by: 'second' } }, 'the one that lost it says nothing any more')
})

void t.test('stopped in order it does not count as an attempt; a job that never ends is given up', async (t) => {
  const { add, job, runner } = await open(t)
  const { id } = await add()
  for (let i = 0; i < 5; i++) {
    const entered = Promise.withResolvers<void>()
    const one = runner(async ({ signal }) => {
      entered.resolve()
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))))
      return {}
    })
    await one.look()
    await entered.promise
    await one.stop()
  }
  t.match(await job(id), { state: 'running', attempts: 0 })
  let calls = 0
  await runner(async () => {
    calls++
    throw new QianzhiError('QZ-HUB-BUSY', { reason: 'x' })
  }).settle()
  t.equal(calls, 3)
  t.match(await job(id), { state: 'failed', problem: { code: 'QZ-HUB-BUSY', zh: /./, en: /./ } })
  const other = await add()
  await runner(async () => {
    calls++
    throw new QianzhiError('QZ-EXCEL', { where: 'A1', reason: 'x' })
  }).settle()
  t.equal(calls, 4, 'what will not be better is not tried again')
  t.match(await job(other.id), { state: 'failed', problem: { code: 'QZ-EXCEL' } })
})

void t.test('a job that takes its process with it is begun three times', async (t) => {
  const { city, add, job, runner } = await open(t)
  const { id } = await add()
  await city.store.query(`update job set state = 'running', attempts = 3`)
  await runner(async () => ({})).settle()
  t.match(await job(id), { state: 'failed', problem: { code: 'QZ-JOB-BROKEN' } })
})

void t.test('what comes further each time is no job that never ends', async (t) => {
  const { city, add, job, runner } = await open(t)
  const { id } = await add()
  for (let reached = 1; reached <= 6; reached++) {
    const one: JobRunner = runner(async ({ progress }) => {
      await progress('a', 0)
      await progress(`to ${reached}`, Math.min(reached, 4), 10)
      // As if the process ended here: it counts.
      await city.store.query('update job set attempts = attempts + 1')
      void one.stop()
      throw new Error('killed')
    })
    await one.settle()
    t.match(await job(id), { state: 'running', done: Math.min(reached, 4), attempts: reached <= 4 ? 1 : reached - 3 })
  }
  await runner(async () => ({})).settle()
  t.match(await job(id), { state: 'failed', problem: { code: 'QZ-JOB-BROKEN' } })
})

void t.test('two at a time; the others wait; who asks again is given the same', async (t) => {
  const { add, job, runner } = await open(t)
  const jobs = [await add('a'), await add('b'), await add('c'), await add('d')]
  t.equal((await add('c')).id, jobs[2]!.id)
  const count = { now: 0, most: 0, ended: 0 }
  await runner(async () => {
    count.most = Math.max(count.most, ++count.now)
    while (count.now < 2 && count.ended < 3) await setImmediate()
    count.now--
    count.ended++
    return {}
  }).settle()
  t.equal(count.most, 2)
  for (const { id } of jobs) t.match(await job(id), { state: 'done' })
  t.equal((await add('c')).id, jobs[2]!.id, 'also when it is done')
})

void t.test('a person has so many jobs and uploads, and no more', async (t) => {
  const { add, job, runner, uploads, city } = await open(t)
  const upload = async (n: number) => add(`u${n}`, await uploads.receive(Readable.from([Buffer.from(String(n))]), 10))
  const first: Job[] = []
  for (let n = 0; n < 40; n++) {
    first.push(await upload(n))
    await runner(async () => ({})).settle()
  }
  t.equal((await city.store.query('select from job_file')).length, 30)
  t.match([(await job(first[9]!.id)).file, (await job(first[10]!.id)).file], [null, { size: 2 }])
  for (let n = 0; n < 10; n++) await add()
  t.equal(await refusal(add()), 'QZ-RULE')
  t.equal((await add('u39')).id, first[39]!.id, 'what is there is answered')
  await runner(async () => ({})).settle()
  t.match(await add(), { state: 'queued' })
})

void t.test('cancelled', async (t) => {
  const { city, add, job, runner } = await open(t)
  const registrar = city.as('civil', 'registrar')
  const waiting = await add()
  t.match(await registrar.post(`/jobs/${waiting.id}/cancel`), { status: 200, body: { state: 'cancelled', ended: /./ } })
  const entered = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const { id } = await add()
  const one = runner(async ({ progress }) => {
    await progress('first', 1)
    entered.resolve()
    await goOn.promise
    await progress('second', 2)
    return { never: true }
  })
  await one.look()
  await entered.promise
  t.match(await registrar.get(`/jobs/${id}`), { body: { state: 'running', step: 'first', done: 1 } })
  t.match(await registrar.post(`/jobs/${id}/cancel`), { body: { state: 'running' } })
  goOn.resolve()
  await one.settle()
  t.match(await job(id), { state: 'cancelled', result: null })
  t.match(await registrar.post(`/jobs/${id}/cancel`), { body: { state: 'cancelled' } })
  t.equal((await city.store.query(`select from audit_entry where act = 'job.cancel'`)).length, 2)
  t.equal(await refusal(add(waiting.id).then(({ id: again }) => again)), 'not refused')
})

void t.test('it begins by itself when it is asked for', async (t) => {
  const { add, runner } = await open(t)
  const done = Promise.withResolvers<string>()
  const one = runner(async ({ job: { id } }) => {
    done.resolve(id)
    return {}
  })
  one.start()
  const { id } = await add()
  t.equal(await done.promise, id)
  await one.stop()
})
