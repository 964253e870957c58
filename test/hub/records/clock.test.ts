/** The hub's clock: what ends by time never ends because somebody set a clock, and goes on when the clock is right. */
import fc from 'fast-check'
import pino from 'pino'
import t from 'tap'
import { HubClock } from '../../../hub/records/clock.ts'
import { clockProblems, ClockWatch, lastKnownTime } from '../../../hub/supervision/clock-watch.ts'
import { expireGrants } from '../../../hub/registry/grants/grant-queries.ts'
import { addGrant } from '../../../hub/registry/grants/grants.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { enrolled, villages } from '../office.ts'
import { openCity } from '../city.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** A machine whose clock is `off` the true time, and whose counter stands while it is suspended. */
class Machine {
  truth = Date.parse('2026-11-22T00:00:00Z')
  off = 0
  ticks = 0

  start(last: number | undefined): HubClock {
    return new HubClock(last, { wall: () => this.truth + this.off, ticks: () => this.ticks })
  }

  pass(ms: number, running = true): void {
    this.truth += ms
    if (running) this.ticks += ms
  }
}

type Step =
  | { do: 'pass'; ms: number; running: boolean }
  | { do: 'set'; off: number }
  | { do: 'look'; wrong: number[]; right: number[] }
  | { do: 'confirm' }
  | { do: 'restart'; away: number }

const offs = fc.constantFrom(0, 0, 5 * minute, -5 * minute, 50 * minute, 3 * hour, -3 * hour, 2 * day, 30 * day, 366 * day, -366 * day)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(minute, 2 * minute, hour), running: fc.constant(true) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 3 * day }), running: fc.boolean() }),
  fc.record({ do: fc.constant('set' as const), off: offs }),
  // Most of the agents are right to ten minutes.
  fc.record({
    do: fc.constant('look' as const),
    wrong: fc.array(offs, { maxLength: 2 }),
    right: fc.array(fc.integer({ min: -10 * minute, max: 10 * minute }), { minLength: 3, maxLength: 5 }),
  }),
  fc.record({ do: fc.constant('confirm' as const) }),
  fc.record({ do: fc.constant('restart' as const), away: fc.integer({ min: 0, max: 20 * day }) }),
)

/** How far ahead of the truth the clock may be: what was possible when it was last known, and what may have come since. */
class Oracle {
  #lead = 0
  #since = 0
  #contradicted: number | undefined

  bound(ticks: number): number {
    return this.#lead + hour + (ticks - this.#since) / 1000
  }

  /** A start believes a week. */
  restarted(ticks: number): void {
    this.#lead = this.bound(ticks) + 7 * day
    this.#since = ticks
    this.#contradicted = undefined
  }

  looked(off: number, agents: readonly number[], ticks: number): void {
    const agree = agents.filter((agent) => Math.abs(agent - off) <= hour).length > agents.length / 2
    if (agree) return this.known(off, ticks)
    this.#contradicted ??= ticks
    if (ticks - this.#contradicted < 2 * minute) return
    const since = this.#contradicted
    this.known(10 * minute, ticks)
    this.#contradicted = since
  }

  known(lead: number, ticks: number): void {
    this.#lead = Math.max(lead, 0)
    this.#since = ticks
    this.#contradicted = undefined
  }
}

t.test('whatever happens to the clock of the machine, the time that counts is not ahead, and follows when it is right', async (t) => {
  let [steps, held] = [0, 0]
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 40 }), (history) => {
      const machine = new Machine()
      let clock = machine.start(undefined)
      let saved = clock.now().getTime()
      const oracle = new Oracle()
      for (const one of history) {
        steps++
        if (one.do === 'pass') machine.pass(one.ms, one.running)
        else if (one.do === 'set') machine.off = one.off
        else if (one.do === 'look') {
          const agents = [...one.wrong, ...one.right]
          oracle.looked(machine.off, agents, machine.ticks)
          clock.compare(agents.map((off) => machine.truth + off))
          saved = clock.now().getTime()
          // Most of them agree with a clock that is right, whatever was before.
          if (Math.abs(machine.off) <= 5 * minute && clock.now().getTime() !== machine.truth + machine.off) return false
        } else if (one.do === 'restart') {
          machine.pass(one.away, false)
          oracle.restarted(machine.ticks)
          clock = machine.start(saved)
        } else if (Math.abs(machine.off) <= 5 * minute) {
          // A person confirms what is right.
          clock.confirm()
          oracle.known(machine.off, machine.ticks)
          if (clock.now().getTime() !== machine.truth + machine.off) return false
        }
        if (clock.fault()) held++
        if (clock.now().getTime() - machine.truth > oracle.bound(machine.ticks)) return false
      }
      return true
    }),
    { numRuns: 2000 },
  )
  t.ok(steps > 20_000 && held > 1000, `${steps} steps, in ${held} of them the clock was held`)
})

t.test('what most agents say counts when they go on saying it', async (t) => {
  const machine = new Machine()
  const clock = machine.start(undefined)
  const say = (off: number, count: number) => {
    clock.compare(Array.from({ length: count }, () => machine.truth + off))
    return clock.fault()?.error.code
  }
  t.equal(say(-2 * day, 3), undefined, 'what they said last may be old')
  machine.pass(minute)
  t.equal(say(-2 * day, 3), undefined)
  machine.pass(minute)
  t.equal(say(0, 3), undefined)
  t.equal(say(-2 * day, 3), undefined, 'it begins anew')
  machine.pass(2 * minute)
  t.equal(say(-2 * day, 2), undefined, 'two are too few')
  say(-2 * day, 3)
  machine.pass(2 * minute)
  t.equal(say(-2 * day, 3), 'QZ-CLOCK-JUMPED')
  t.equal(clock.now().getTime(), machine.truth - 2 * day)
  say(0, 1)
  t.ok(clock.fault(), 'one is too few')
  t.equal(say(0, 2), undefined)
  say(2 * day, 3)
  machine.pass(2 * minute)
  say(2 * day, 3)
  t.equal(clock.now().getTime(), machine.truth, 'nor do they set it ahead')
})

t.test('a clock that runs a year ahead for a minute ends nothing, and is told to those who must act', async (t) => {
  const machine = new Machine()
  const city = await openCity(t, { clock: machine.start(undefined) })
  const { clock } = city.services
  city.clock = () => clock.now()
  await publishResource(city, 'admin', { schema: villages() })
  const wanted = { resource: 'villages', agency: 'water', items: ['name'], validTo: new Date('2026-12-31'), atEnd: 'remove' } as const
  await addGrant(city, 'admin', wanted)
  const watch = new ClockWatch({ store: city.store, clock, logger: pino({ level: 'silent' }) })
  await watch.look()
  const told = () => city.store.query<{ role: string; en: string }>(`select role, en from notice where kind = 'clock' order by id`)
  t.same(await told(), [])

  machine.pass(minute)
  machine.off = 366 * day
  await watch.look()
  await watch.look()
  t.equal(await expireGrants(city), 0, 'it does not expire')
  t.equal(await lastKnownTime(city.store.query), machine.truth, 'what is saved is the reckoned time')
  t.match(await told(), [
    { role: 'office', en: /2027.*2026-11-22 08:01/ },
    { role: 'system-admin', en: /Put the clock right/ },
  ])
  t.match(clockProblems(clock)[0], { code: 'QZ-CLOCK-JUMPED' }, 'health says so')
  t.match((await city.as('city', 'supervisor').get('/clock')).body, { heldSince: /2026-11-22/, now: /2026-11-22/, wall: /2027-11-23/ })

  machine.off = 0
  await watch.look()
  t.equal(clock.fault(), undefined)
  t.equal((await told()).length, 4, 'that it is over is told, too')
  t.match(await city.store.query(`select act, outcome from audit_entry where object = 'clock' order by id`), [
    { act: 'clock.held', outcome: 'QZ-CLOCK-JUMPED' },
    { act: 'clock.agrees', outcome: 'done' },
  ])
  machine.pass(40 * day)
  t.equal(await expireGrants(city), 1, 'what is over ends')
})

t.test('a store whose clock is another is told: what is on record is stamped by it', async (t) => {
  const machine = new Machine()
  const clock = machine.start(undefined)
  const city = await openCity(t, { clock })
  const watch = new ClockWatch({ store: city.store, clock, logger: pino({ level: 'silent' }) })
  for (const off of [0, 50_000, -50_000, 70_000, -70_000, 366 * day]) {
    // PostgreSQL's clock is the truth here, and the hub's is so far behind.
    machine.off = Date.now() - off - machine.truth
    clock.confirm()
    await watch.look()
    const told = clockProblems(clock)
    t.same(told.map(({ code }) => code), Math.abs(off) > minute ? ['QZ-CLOCK-STORE'] : [], String(off)) // prettier-ignore
    if (off === 366 * day) t.match(told, [{ en: /3162\d{4} s ahead/, zh: /3162\d{4} 秒/ }])
  }
})

t.test('after a long stop the office says that the clock is right, or the agents show it', async (t) => {
  const machine = new Machine()
  const city = await openCity(t, { clock: machine.start(machine.truth - 30 * day) })
  const { clock } = city.services
  const watch = new ClockWatch({ store: city.store, clock, logger: pino({ level: 'silent' }) })
  await watch.look()
  t.equal(clock.now().getTime(), machine.truth - 30 * day)
  for (const who of [city.as('water', 'user'), city.as('city', 'supervisor'), city.as('city', 'system-admin')])
    t.equal((await who.post('/clock/confirm', { reason: 'x' })).status, 403)
  t.equal((await city.as('city', 'office').post('/clock/confirm', {})).status, 400, 'not without a reason')
  t.match((await city.as('city', 'office').post('/clock/confirm', { reason: '停机三十天' })).body, { heldSince: null, now: /2026-11-22/ })
  const [entry] = await city.store.query(`select agency, details from audit_entry where act = 'clock.confirm'`)
  t.match(entry, { agency: 'city', details: { reason: '停机三十天' } })

  const again = machine.start(machine.truth - 30 * day)
  const later = new ClockWatch({ store: city.store, clock: again, logger: pino({ level: 'silent' }) })
  machine.pass(minute)
  // Agents follow the hub's time, and tell how far that is from their own.
  for (const [agency, offset] of [
    ['civil', -30 * day],
    ['civil', 0],
    ['water', -30 * day - 1000],
    ['health', 0],
    ['city', 0],
  ] as const) {
    const { id } = await enrolled(city, agency)
    await city.store.query('update agent set last_seen = $2, report = $3 where id = $1', [id, again.now(), { clockOffset: offset }])
  }
  t.ok(again.fault())
  await later.look()
  t.equal(again.fault(), undefined)
  t.equal(again.now().getTime(), machine.truth)
})
