/**
 * Random histories of supervision, by the right people through the registry's API, with a clock that moves by hours and weeks: duties, deadlines
 * and evaluations are what the model of the regulation says (duties.ts), however seldom the platform looks at them.
 */
import pino from 'pino'
import { officialYears } from '../../hub/records/calendars/official.ts'
import { readRules, saveSettings, supervisionSettings } from '../../hub/records/settings.ts'
import { noteDeliveries } from '../../hub/registry/grants/grant-queries.ts'
import { recountDeadlines } from '../../hub/supervision/deadlines-watch.ts'
import { listDuties } from '../../hub/supervision/duties/duties.ts'
import { superviseOnce } from '../../hub/supervision/supervision.ts'
import type { Random } from '../faults/random.ts'
import { openCity, type Answer, type City } from '../hub/city.ts'
import { enrolled } from '../hub/office.ts'
import { licences, register, textItem } from '../hub/registry/catalog/fixture.ts'
import { Supervision, type Year } from './duties.ts'
import { Comparison } from './duty-comparison.ts'
import { dayAt, next, type Cycle } from './periods.ts'

type Test = Parameters<typeof openCity>[0]

const hour = 3_600_000
const cycles: readonly Cycle[] = ['realtime', 'daily', 'weekly', 'monthly', 'quarterly']
const start = Date.parse('2026-11-22T08:00:00+08:00')
const agencies = ['civil', 'health'] as const
type Agency = (typeof agencies)[number]

/** The next years' calendars, which come some time after they are needed. */
const yearCalled = (year: number): Year => ({
  year,
  holidays: [`${year}-01-01/${year}-01-03`, `${year}-02-05/${year}-02-11`, `${year}-05-01/${year}-05-05`, `${year}-10-01/${year}-10-07`],
  workdays: [`${year}-02-14`],
})

/** What a version says. */
interface Said {
  cycle: Cycle
  mode: 'front-end' | 'form'
  secret: boolean
}

/** An application that waits for the office, or for its applicant. */
interface Asked {
  id: string
  resource: string
  state: 'reviewing' | 'returned'
}

export class DutyHistory {
  readonly steps: string[] = []
  readonly #random: Random
  readonly #city: City
  readonly #model: Supervision
  readonly #codes = new Map<Agency, string[]>()
  readonly #orders: { id: string; state: 'issued' | 'answered' }[] = []
  readonly #corrections: { id: string; state: 'reported' | 'passed' | 'answered' }[] = []
  readonly #applications: Asked[] = []
  readonly #routes: { id: string; grant: string; resource: string; asked: boolean; received: boolean }[] = []
  readonly #comparison: Comparison
  #machine = ''
  #years: Year[] = []
  #lastYear = 2026

  private constructor(random: Random, city: City) {
    this.#random = random
    this.#city = city
    this.#model = new Supervision(officialYears)
    this.#comparison = new Comparison(city, this.#model, this.steps)
  }

  static async begin(test: Test, random: Random): Promise<DutyHistory> {
    const city = await openCity(test)
    city.now = new Date(start)
    const history = new DutyHistory(random, city)
    history.#machine = (await enrolled(city, 'water')).id
    for (const agency of agencies) {
      await enrolled(city, agency)
      for (let n = 0; n < 2; n++) await history.#publish(agency)
    }
    return history
  }

  get #now(): number {
    return this.#city.now.getTime()
  }

  get #query() {
    return this.#city.store.query
  }

  async step(): Promise<void> {
    const acts: Record<string, () => Promise<unknown>> = {
      wait: () => this.#wait(),
      'wait longer': () => this.#wait(),
      'wait longest': () => this.#wait(),
      look: () => this.#supervise(),
      publish: () => this.#publish(this.#random.pick(agencies)),
      change: () => this.#change(),
      stop: () => this.#stop(),
      withdraw: () => this.#withdraw(),
      supply: () => this.#supply(),
      'supply more': () => this.#supply(),
      explain: () => this.#explain(),
      'explain more': () => this.#explain(),
      tell: () => this.#tell(),
      order: () => this.#order(),
      correction: () => this.#correct(),
      apply: () => this.#apply(),
      reply: () => this.#apply(),
      'reply more': () => this.#apply(),
      'reply most': () => this.#apply(),
      grant: () => this.#grant(),
      receive: () => this.#receive(),
      calendar: () => this.#calendar(),
    }
    const name = this.#random.pick(Object.keys(acts))
    this.steps.push(`${new Date(this.#now + 8 * hour).toISOString().slice(0, 16)} ${name}`)
    await acts[name]!()
  }

  /** The platform looks once more, and everything is what the model says. */
  async compare(): Promise<void> {
    await this.#supervise()
    await this.#comparison.all(dayAt(start), agencies)
  }

  /** How many duties, deadlines and figures were compared. */
  get compared(): number {
    return this.#comparison.compared
  }

  // Acts.

  async #wait(): Promise<void> {
    const hours = this.#random.pick([1, 5, 24, 49, 24 * 5, 24 * 12])
    this.#city.now = new Date(this.#now + hours * hour)
    if (this.#random.chance(0.7)) await this.#supervise()
  }

  async #supervise(): Promise<void> {
    await superviseOnce({
      store: this.#city.store,
      settings: supervisionSettings(),
      catchUp: () => noteDeliveries(this.#city),
      logger: pino({ level: 'silent' }),
      clock: this.#city.clock,
    })
  }

  #resources(): string[] {
    return [...this.#codes.values()].flat()
  }

  #agencyOf(code: string): Agency {
    return agencies.find((agency) => this.#codes.get(agency)?.includes(code))!
  }

  #randomForce(): Said {
    return { cycle: this.#random.pick(cycles), mode: this.#random.chance(0.85) ? 'front-end' : 'form', secret: this.#random.chance(0.1) }
  }

  async #publish(agency: Agency): Promise<void> {
    const known = this.#codes.get(agency) ?? []
    if (known.length >= 4) return
    const code = `${agency}-${known.length}`
    const force = { ...this.#randomForce(), secret: false }
    this.#expect(await register(this.#city, agency, this.#content(code, force), { resource: code }))
    this.#codes.set(agency, [...known, code])
    this.#model.publish(code, agency, this.#now, force)
  }

  #content(code: string, { cycle, mode, secret }: Said) {
    return licences((content) => {
      Object.assign(content, {
        title: `资源 ${code}`,
        table: code.replace('-', '_'),
        cycle,
        supplyMode: mode,
        secrecy: secret,
        sharing: secret ? 'none' : 'unconditional',
      })
      if (secret) content.sharingConditions = '保密法'
      content.items[1]!.openness = 'internal'
      content.items[3] = textItem('place', `地点 ${code}`)
      content.exceptions = []
    })
  }

  async #change(): Promise<void> {
    const code = this.#random.pick(this.#resources())
    if (this.#stateOf(code) === 'withdrawn') return
    const force = this.#randomForce()
    this.#expect(await register(this.#city, this.#agencyOf(code), this.#content(code, force), { resource: code }))
    this.#model.publish(code, this.#agencyOf(code), this.#now, force)
    if (force.secret) this.#endGrants(code)
  }

  #stateOf(code: string): string {
    return this.#model.resources.get(code)!.force.at(-1)!.state
  }

  async #stop(): Promise<void> {
    const code = this.#random.pick(this.#resources())
    const state = this.#stateOf(code)
    if (state === 'withdrawn') return
    const event = state === 'active' ? 'stop' : 'release'
    this.#expect(await this.#city.as('city', 'secrecy').post(`/resources/${code}/${event}`, { reason: '核查' }))
    this.#model.setState(code, this.#now, state === 'active' ? 'stopped' : 'active')
  }

  async #withdraw(): Promise<void> {
    const code = this.#random.pick(this.#resources())
    if (this.#stateOf(code) === 'withdrawn' || !this.#random.chance(0.15)) return
    this.#expect(await this.#city.as(this.#agencyOf(code), 'reviewer').post(`/resources/${code}/withdraw`, { reason: '职能划转' }))
    this.#model.setState(code, this.#now, 'withdrawn')
    this.#endGrants(code)
  }

  /** Deliveries are asked for no more. */
  #endGrants(code: string): void {
    for (const { id, resource, states } of this.#model.grants) {
      if (resource !== code || states.at(-1)!.state === 'revoked') continue
      states.push({ from: this.#now, state: 'revoked' })
      this.#model.end(`route ${id}`, this.#now, true)
    }
  }

  async #supply(): Promise<void> {
    const code = this.#random.pick(this.#resources())
    const what = this.#random.pick(['changed', 'changed', 'repeated', 'loaded'] as const)
    await this.#query(
      `insert into supply_day (resource, day, batches, changed_rows, same_rows, snapshot_rows) values ($1, $2, 1, $3, $4, $5)
       on conflict (resource, day) do update set changed_rows = supply_day.changed_rows + excluded.changed_rows,
         same_rows = supply_day.same_rows + excluded.same_rows, snapshot_rows = supply_day.snapshot_rows + excluded.snapshot_rows`,
      [code, dayAt(this.#now), what === 'loaded' ? 0 : 3, what === 'repeated' ? 3 : 0, what === 'loaded' ? 9 : 0],
    )
    this.#model.supply(code, dayAt(this.#now), what)
  }

  async #explain(): Promise<void> {
    const code = this.#random.pick(this.#resources())
    const duties = await listDuties(this.#query, { resource: code }, this.#city.now)
    const period = this.#random.pick([...duties.map((duty) => duty.period), '2027-01', '2027-Q1', '2026-12'])
    const declaration = { kind: 'no-change', resource: code, period, text: '没有变化' }
    const drafted = await this.#city.as(this.#agencyOf(code), 'registrar').post('/declarations', declaration)
    const signed = await this.#city.as(this.#agencyOf(code), 'reviewer').post(`/declarations/${drafted.body.id}/sign`)
    const allowed = this.#model.explain(code, period, this.#now)
    this.#comparison.same(`${code} ${period} may be explained`, signed.status === 200, allowed, signed.text)
  }

  async #tell(): Promise<void> {
    if (!this.#random.chance(0.4)) return
    const agency = this.#random.pick(agencies)
    const kind = this.#random.pick(['force-majeure', 'cannot-supply'] as const)
    const resource = this.#random.chance(0.4) ? null : this.#random.pick(this.#codes.get(agency)!)
    const until = this.#random.chance(0.7) ? next(dayAt(this.#now), this.#random.between(0, 20)) : null
    const said = { kind, text: '水灾', basis: '第七条', measures: '改用备份', ...(resource && { resource }), ...(until && { until }) }
    const { id } = this.#expect(await this.#city.as(agency, 'registrar').post('/declarations', said)).body
    if (this.#random.chance(0.2)) return
    this.#expect(await this.#city.as(agency, 'reviewer').post(`/declarations/${id}/sign`))
    this.#model.tell({ kind, agency, resource, signed: this.#now, until })
  }

  async #order(): Promise<void> {
    const order = this.#orders.length > 0 && this.#random.chance(0.7) ? this.#random.pick(this.#orders) : undefined
    const office = this.#city.as('city', 'office')
    if (!order) {
      const due = next(dayAt(this.#now), this.#random.between(1, 30))
      const { id } = this.#expect(await office.post('/orders', { agency: 'civil', cause: 'update', text: '请更新', due })).body
      this.#orders.push({ id, state: 'issued' })
      return this.#model.begin({
        kind: 'rectification',
        object: `order ${id}`,
        agency: 'civil',
        resource: null,
        begun: this.#now,
        length: due,
      })
    }
    const object = `order ${order.id}`
    if (order.state === 'issued' && this.#random.chance(0.8)) {
      this.#expect(await this.#city.as('civil', 'reviewer').post(`/orders/${order.id}/answer`, { answer: '已更新' }))
      order.state = 'answered'
      return this.#model.end(object, this.#now)
    }
    const event = order.state === 'issued' ? 'transfer' : this.#random.pick(['close', 'reject-answer'])
    this.#expect(await office.post(`/orders/${order.id}/${event}`, event === 'close' ? {} : { reason: '缺两镇' }))
    if (event === 'reject-answer') {
      order.state = 'issued'
      return this.#model.sendBack(object, this.#now)
    }
    this.#orders.splice(this.#orders.indexOf(order), 1)
    if (event === 'transfer') this.#model.end(object, this.#now, true)
  }

  async #correct(): Promise<void> {
    const open = this.#corrections
    const correction = open.length > 0 && this.#random.chance(0.7) ? this.#random.pick(open) : undefined
    const begin = (object: string, agency: string, resource: string) =>
      this.#model.begin({ kind: 'correction', object, agency, resource, begun: this.#now, length: 10 })
    if (!correction) {
      const shared = this.#random.pick(this.#model.grants)
      if (!shared) return
      const said = { resource: shared.resource, fault: '有误' }
      const { id } = this.#expect(await this.#city.as('water', 'user').post('/corrections', said)).body
      open.push({ id, state: 'reported' })
      return begin(`correction ${id}`, 'city', shared.resource)
    }
    const object = `correction ${correction.id}`
    const { resource } = this.#model.deadlines.find((one) => one.object === object)!
    const provider = this.#agencyOf(resource!)
    if (this.#random.chance(0.15)) {
      this.#expect(await this.#city.as('water', 'user').post(`/corrections/${correction.id}/withdraw`))
      open.splice(open.indexOf(correction), 1)
      return this.#model.end(object, this.#now, true)
    }
    if (correction.state === 'reported') {
      this.#expect(await this.#city.as('city', 'office').post(`/corrections/${correction.id}/pass`))
      correction.state = 'passed'
      this.#model.end(object, this.#now)
      return begin(object, provider, resource!)
    }
    if (correction.state === 'passed') {
      const answer = { result: 'corrected', answer: '已改' }
      this.#expect(await this.#city.as(provider, 'reviewer').post(`/corrections/${correction.id}/answer`, answer))
      correction.state = 'answered'
      this.#model.end(object, this.#now)
      return begin(object, 'city', resource!)
    }
    this.#expect(await this.#city.as('city', 'office').post(`/corrections/${correction.id}/close`))
    open.splice(open.indexOf(correction), 1)
    this.#model.end(object, this.#now)
  }

  /** The office replies, or sends back what is to be completed. */
  async #apply(): Promise<void> {
    const waiting = this.#random.chance(0.8) ? this.#random.pick(this.#applications) : undefined
    if (!waiting) return this.#ask()
    if (waiting.state === 'returned') return this.#complete(waiting)
    const { id, resource } = waiting
    const office = this.#city.as('city', 'office')
    if (this.#random.chance(0.5)) {
      this.#expect(await office.post(`/applications/${id}/return`, { reason: '请补正依据' }))
      waiting.state = 'returned'
      return this.#model.giveBack(`application ${id}`, this.#now)
    }
    this.#applications.splice(this.#applications.indexOf(waiting), 1)
    if (this.#canBeHad(resource) && !this.#grantOf(resource)) await this.#deliver(waiting)
    else this.#expect(await office.post(`/applications/${id}/reject`, { reason: '不再提供' }))
    this.#model.end(`application ${id}`, this.#now)
  }

  async #ask(): Promise<void> {
    const code = this.#random.pick(this.#resources())
    if (!this.#canBeHad(code)) return
    const user = this.#city.as('water', 'user')
    const { id } = this.#expect(await user.post('/applications', { resource: code, ...this.#wanted() })).body
    this.#expect(await user.post(`/applications/${id}/submit`))
    this.#applications.push({ id, resource: code, state: 'reviewing' })
    const reply = { kind: 'application-reply', object: `application ${id}`, agency: 'city', resource: code } as const
    this.#model.begin({ ...reply, begun: this.#now, length: 10 })
  }

  #wanted() {
    return { mode: 'exchange', items: ['holder'], purpose: '核验', basis: '三定方案', agent: this.#machine }
  }

  #canBeHad(code: string): boolean {
    const { state, secret } = this.#model.resources.get(code)!.force.at(-1)!
    return state === 'active' && !secret
  }

  async #complete(application: Asked): Promise<void> {
    const { id, resource } = application
    const user = this.#city.as('water', 'user')
    if (!this.#canBeHad(resource) || this.#random.chance(0.1)) {
      this.#expect(await user.post(`/applications/${id}/withdraw`))
      this.#applications.splice(this.#applications.indexOf(application), 1)
      return this.#model.end(`application ${id}`, this.#now, true)
    }
    this.#expect(await user.post(`/applications/${id}/change`, { ...this.#wanted(), basis: '三定方案第二条' }))
    if (this.#random.chance(0.3)) return
    this.#expect(await user.post(`/applications/${id}/submit`))
    application.state = 'reviewing'
    this.#model.comeAgain(`application ${id}`, this.#now)
  }

  /** Approved: its route waits for the receiver. */
  async #deliver({ id, resource: code }: Asked): Promise<void> {
    const approved = this.#expect(await this.#city.as('city', 'office').post(`/applications/${id}/approve`))
    const grant = approved.body.grants[0].id as string
    this.#model.grants.push({ id: grant, resource: code, states: [{ from: this.#now, state: 'active' }] })
    this.#routes.push({ id: grant, grant, resource: code, asked: false, received: false })
    const delivery = { kind: 'delivery', object: `route ${grant}`, agency: this.#agencyOf(code), resource: code } as const
    this.#model.begin({ ...delivery, begun: this.#now, length: 20 }, true)
  }

  #grantOf(code: string) {
    return this.#model.grants.find(({ resource, states }) => resource === code && states.at(-1)!.state !== 'revoked')
  }

  async #grant(): Promise<void> {
    const grant = this.#random.pick(this.#model.grants)
    const state = grant?.states.at(-1)!.state
    if (!grant || state === 'revoked') return
    const event = state === 'suspended' ? 'resume' : this.#random.chance(0.8) ? 'suspend' : 'revoke'
    const answer = await this.#city.as('city', 'office').post(`/grants/${grant.id}/${event}`, event === 'resume' ? {} : { reason: '核查' })
    this.#expect(answer)
    grant.states.push({ from: this.#now, state: event === 'resume' ? 'active' : event === 'suspend' ? 'suspended' : 'revoked' })
    if (event === 'revoke') this.#model.end(`route ${grant.id}`, this.#now, true)
  }

  /** The receiver's machine asks, or says for the first time that it has something. */
  async #receive(): Promise<void> {
    const route = this.#random.pick(this.#routes.filter(({ received }) => !received))
    if (!route) return
    if (!route.asked) {
      await this.#query('update route set asked_at = $2 where id = $1', [route.id, this.#city.now])
      await this.#supervise()
      route.asked = true
      return this.#model.receiverAsks(`route ${route.id}`, this.#now)
    }
    if (!this.#model.open(`route ${route.id}`)) return
    await this.#query(`update route set receipt = 'jws', first_receipt_at = $2 where id = $1`, [route.id, this.#city.now])
    await noteDeliveries(this.#city)
    route.received = true
    this.#model.end(`route ${route.id}`, this.#now)
  }

  async #calendar(): Promise<void> {
    if (dayAt(this.#now) < `${this.#lastYear}-12-20` || !this.#random.chance(0.3)) return
    const year = yearCalled(++this.#lastYear)
    this.#years.push(year)
    await this.#supervise()
    const { store } = this.#city
    await saveSettings(
      store,
      supervisionSettings(
        {},
        this.#years.map((one) => ({ ...one, holidays: [...one.holidays], workdays: [...one.workdays], source: 'test' })),
      ),
      this.#city.now,
    )
    await store.transaction(async (query) => recountDeadlines(query, await readRules(query), this.#city.now, { all: true }))
    this.#model.calendarComes(year, this.#now)
  }

  #expect(answer: Answer): Answer {
    if (answer.status === 200) return answer
    throw new Error(`${answer.status} ${answer.text.slice(0, 400)}\nafter\n  ${this.steps.slice(-25).join('\n  ')}`)
  }
}
