/**
 * Random histories of the registry, by the right people through its API, on two hubs with one store, while clocks move and connections are killed in
 * the middle: after each act every application, every grant and every machine's policy is what the model of the regulation says (sharing.ts).
 */
import { isDeepStrictEqual } from 'node:util'
import { openPolicy } from '../../protocol/policy.ts'
import { generateSigningKey } from '../../protocol/signature.ts'
import type { Role } from '../../hub/records/roles.ts'
import type { CatalogContent } from '../../hub/registry/catalog/content.ts'
import { expireGrants } from '../../hub/registry/grants/grant-queries.ts'
import { lapseOpenings } from '../../hub/registry/cases/openings.ts'
import { expirePublications, lapsePublications } from '../../hub/registry/cases/publications.ts'
import { currentPolicy } from '../../hub/registry/grants/policy.ts'
import type { Random } from '../faults/random.ts'
import { openCity, secondHub, type Answer, type City } from '../hub/city.ts'
import { enrolled } from '../hub/office.ts'
import { licences, secrecy, textItem } from '../hub/registry/catalog/fixture.ts'
import { openClient, type Client } from '../support/client.ts'
import { endOpenings, openingAct, opens } from './openings.ts'
import { endConsents, publicationAct } from './publications.ts'
import { Sharing, type Access, type Application, type Item, type Version } from './sharing.ts'

const hubKey = generateSigningKey()
const standard = 'permits'
const day = 86_400_000

/** Providers' own resources, and the adopters of the standard. */
const owned = ['civil.a', 'civil.b']
const adopted = ['civil.permits', 'health.permits']
const all = [...owned, ...adopted]

type Test = Parameters<typeof openCity>[0]

/** Something that somebody does: how, and what the model says to it. */
interface Act {
  name: string
  /** The call that decides; what comes before it is done by then. */
  call: (city: City) => Promise<Answer>
  /** @returns whether it is allowed. */
  follow: (model: Sharing) => boolean
  /** After a call that was refused, or lost. */
  undo?: () => Promise<unknown>
}

/** Milliseconds of the hub's clock at the end of a day where the city is. */
const endOf = (text: string) => Date.parse(`${text}T16:00:00Z`)

export class History {
  readonly steps: string[] = []
  refused = 0
  killed = 0
  readonly #random: Random
  readonly #hubs: readonly City[]
  readonly #killer: Client
  readonly #machines: { id: string; agency: string }[]
  readonly #ids: string[] = []
  readonly #grants = new Map<string, string>()
  #publications: string[] = []
  #openings: string[] = []
  /** Of strangers, each with a turn of its own. */
  #strangers = 0
  #model: Sharing

  private constructor(random: Random, hubs: readonly City[], killer: Client, machines: { id: string; agency: string }[]) {
    this.#random = random
    this.#hubs = hubs
    this.#killer = killer
    this.#machines = machines
    this.#model = new Sharing(hubs[0]!.now.getTime())
  }

  static async begin(test: Test, random: Random): Promise<History> {
    const city = await openCity(test)
    const other = await secondHub(test, city)
    const killer = await openClient(city.url)
    test.teardown(() => killer.end())
    const machines = []
    for (const agency of ['water', 'water', 'health']) machines.push({ id: (await enrolled(city, agency)).id, agency })
    await enrolled(city, 'civil')
    const history = new History(random, [city, other], killer, machines)
    await history.#found()
    return history
  }

  get #city(): City {
    return this.#hubs[0]!
  }

  /** The standard, and first versions of all resources. */
  async #found(): Promise<void> {
    const { title, abstract, subject, licence, items } = content('permits', firstVersion, false)
    const form = { title, abstract, subject, licence, table: 'permits', items, optional: [] }
    const office = this.#city.as('city', 'office')
    must(await office.post('/standards', { code: standard, form }))
    must(await office.post(`/standards/${standard}/publish`))
    this.#model.standards.set(standard, items.map(({ id }) => id)) // prettier-ignore
    for (const code of [...owned, ...adopted]) await this.#do(await this.#publication(code, firstVersion, []), 0)
  }

  async step(): Promise<void> {
    if (this.#random.chance(0.12)) return this.#passTime()
    const act = await this.#act()
    if (act) await this.#do(act)
  }

  async #passTime(): Promise<void> {
    const city = this.#city
    city.now = new Date(city.now.getTime() + this.#random.between(1, 36) * 3_600_000)
    this.#model.now = city.now.getTime()
    this.steps.push(`it is ${city.now.toISOString()}`)
    if (this.#random.chance(0.5)) {
      await expireGrants(this.#random.pick(this.#hubs))
      this.#model.expire()
      this.steps.push('what is over ends')
    }
    if (this.#random.chance(0.5)) {
      await lapsePublications(this.#random.pick(this.#hubs))
      await expirePublications(this.#random.pick(this.#hubs))
      endConsents(this.#model)
      this.steps.push('consents to publish are looked after')
    }
    if (this.#random.chance(0.5)) {
      await lapseOpenings(this.#random.pick(this.#hubs))
      endOpenings(this.#model)
      this.steps.push('open data is looked after')
    }
    await this.compare()
  }

  /** One act, on one of the hubs, sometimes while its connections are killed; then all is compared. */
  async #do(act: Act, kills = 0.08): Promise<void> {
    const hub = this.#random.pick(this.#hubs)
    if (this.#random.chance(kills)) return this.#doKilled(act, hub)
    const answer = await act.call(hub)
    const allowed = act.follow(this.#model)
    this.steps.push(`${act.name}: ${answer.status}`)
    if (allowed !== (answer.status === 200))
      throw new Error(
        `${act.name}: the regulation ${allowed ? 'allows' : 'forbids'} it, the answer is ${answer.status} ${answer.text.slice(0, 500)}\n  ${this.steps.slice(-12).join('\n  ')}`,
      )
    if (!allowed) this.refused++
    if (!allowed) await act.undo?.()
    await this.compare()
  }

  /** It has happened wholly or not at all, whatever was answered. */
  async #doKilled(act: Act, hub: City): Promise<void> {
    this.killed++
    const under = act.call(hub).catch((error: unknown) => String(error))
    for (let turns = this.#random.between(0, 40); turns > 0; turns--) await new Promise(setImmediate)
    await this.#killer.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    const answer = await under
    const status = typeof answer === 'string' ? answer : String(answer.status)
    this.steps.push(`${act.name}, killed: ${status}`)
    const after = Sharing.copy(this.#model)
    const allowed = act.follow(after)
    const found = await this.#registry(true)
    const happened = allowed && isDeepStrictEqual(found, this.#expected(after, true))
    if (happened) this.#model = after
    else {
      if (status === '200') throw new Error(`${act.name}: it was answered, and has not happened`)
      await act.undo?.()
    }
    await this.compare()
  }

  async #act(): Promise<Act | undefined> {
    const acts: [weight: number, make: () => Promise<Act | undefined> | Act | undefined][] = [
      [4, () => this.#publish()],
      [5, () => this.#apply()],
      [6, () => this.#decide()],
      [3, () => this.#consent()],
      [5, () => this.#onGrant()],
      [1.5, () => this.#onResource()],
      [5, () => this.#onPublication()],
      [4, () => openingAct(this.#random, this.#model, all, this.#openings)],
      [0.2, () => this.#closeAgency()],
      [0.1, () => this.#revokeMachine()],
    ]
    let at = this.#random.next() * acts.reduce((sum, [weight]) => sum + weight, 0)
    return acts.find(([weight]) => (at -= weight) < 0)![1]()
  }

  // What people do.

  async #publish(): Promise<Act | undefined> {
    const code = this.#random.pick([...owned, ...adopted])
    const resource = this.#model.resources.get(code)!
    if (resource.state === 'withdrawn') return undefined
    const [next, relabelled] = this.#nextVersion(resource.version, adopted.includes(code))
    return this.#publication(
      code,
      next,
      relabelled.filter(() => this.#random.chance(0.5)),
    )
  }

  /** @returns with it the items whose label is another one. */
  #nextVersion(before: Version, fixed: boolean): [Version, string[]] {
    const random = this.#random
    const next = { ...before, items: before.items.map((item) => ({ ...item })) }
    const relabelled: string[] = []
    for (let changes = random.between(1, 3); changes > 0; changes--) {
      const item = random.pick(next.items.filter(({ key }) => !key))
      const free = next.items.filter(({ id }) => /^e\d$|^place$/.test(id))
      const kind = random.between(0, fixed ? 5 : 11)
      if (kind === 0) next.sharing = random.pick(['unconditional', 'unconditional', 'conditional', 'conditional', 'none'])
      else if (kind === 1) next.exchange = random.chance(0.8)
      else if (kind === 2) next.secret = random.chance(0.3)
      else if (kind <= 5) item.closed = !item.closed
      else if (kind === 6 && free.length > 0) next.items.splice(next.items.indexOf(random.pick(free)), 1)
      else if (kind === 7) next.items = addExtra(next.items, random)
      else if (kind === 8 && free.length > 0) {
        const one = random.pick(free)
        one.label = `${one.id} ${random.between(1, 1e6)}`
        if (before.items.some(({ id, label }) => id === one.id && label !== one.label)) relabelled.push(one.id)
      } else if (kind === 9 && free.length > 0) random.pick(free).length = random.pick([50, 100, 200])
      else if (kind >= 10) item.open = !item.open
    }
    if (next.secret) next.sharing = 'none'
    // What nobody is given is not for everybody; the standard says what is public of it.
    for (const item of next.sharing === 'none' ? next.items : [])
      Object.assign(item, fixed ? { closed: item.closed || item.open } : { open: false })
    return [next, [...new Set(relabelled)].filter((id) => next.items.some((item) => item.id === id))]
  }

  async #publication(code: string, next: Version, sameMeaning: string[]): Promise<Act> {
    const provider = code.split('.')[0]!
    const byStandard = adopted.includes(code)
    const city = this.#random.pick(this.#hubs)
    const registrar = city.as(provider, 'registrar')
    const known = this.#model.resources.has(code)
    const drafted =
      byStandard && !known
        ? await registrar.post(`/standards/${standard}/adopt`, { resource: code })
        : await registrar.post('/registrations', { resource: code, content: content(code, next, byStandard) })
    const path = `/registrations/${must(drafted).id as string}`
    if (byStandard && !known) must(await registrar.post(`${path}/change`, { content: content(code, next, byStandard) }))
    must(await registrar.post(`${path}/submit`, { secrecy }))
    const resource = { code, provider, standard: byStandard ? standard : undefined, version: next }
    return {
      name: `${code} is published: ${next.sharing}${next.secret ? ', secret' : ''}${next.exchange ? '' : ', no exchange'}, ${next.items.map(({ id, closed }) => (closed ? `(${id})` : id)).join(' ')}`,
      call: (hub) => hub.as(provider, 'reviewer').post(`${path}/publish`, { sameMeaning }),
      follow: (model) => model.publish(resource, sameMeaning),
      undo: async () => {
        await this.#persist(() => registrar.post(`${path}/recall`))
        await this.#persist(() => registrar.post(`${path}/discard`))
      },
    }
  }

  async #apply(): Promise<Act | undefined> {
    const random = this.#random
    const { id: machine, agency } = random.pick(this.#machines)
    const byStandard = random.chance(0.35)
    const code = random.pick([...owned, ...adopted])
    const all = byStandard ? this.#model.standards.get(standard)! : this.#model.resources.get(code)!.version.items.filter(({ closed }) => !closed || random.chance(0.03)).map(({ id }) => id) // prettier-ignore
    const items = all.filter(() => random.chance(0.6))
    const days = random.chance(0.7) ? random.between(0, 20) : undefined
    const untilDay = days === undefined ? undefined : new Date(this.#city.now.getTime() + days * day).toISOString().slice(0, 10)
    const target = byStandard ? { standard } : { resource: code }
    const atEnd = random.pick(['keep', 'remove'] as const)
    const body = {
      ...target,
      mode: 'exchange',
      items,
      purpose: '核验',
      basis: '三定方案',
      agent: machine,
      atEnd,
      ...(untilDay && { until: untilDay }),
    }
    const user = random.pick(this.#hubs).as(agency, 'user')
    const draft = await user.post('/applications', body)
    if (draft.status !== 200) throw new Error(`a draft is refused: ${draft.text}`)
    const path = `/applications/${draft.body.id as string}`
    const until = untilDay === undefined ? undefined : endOf(untilDay)
    let number = -1
    return {
      name: `${agency} asks for ${byStandard ? standard : code}: ${items.join(' ')} until ${untilDay ?? 'ever'} at ${machine}`,
      call: (hub) => hub.as(agency, 'user').post(`${path}/submit`),
      follow: (model) => {
        const application = model.apply({ ...target, agency, machine, items, until, atEnd })
        number = application?.number ?? -1
        if (number >= 0) this.#ids[number] = draft.body.id as string
        return application !== undefined
      },
      undo: () => this.#persist(() => user.post(`${path}/withdraw`)),
    }
  }

  /** Mostly of those that wait. */
  #someApplication(states: readonly string[]): Application | undefined {
    const { applications } = this.#model
    const fitting = applications.filter(({ state }) => states.includes(state))
    if (applications.length === 0) return undefined
    return this.#random.pick(fitting.length > 0 && this.#random.chance(0.9) ? fitting : applications)
  }

  #decide(): Act | Promise<Act> | undefined {
    const random = this.#random
    const application = this.#someApplication(['consulting', 'reviewing', 'returned'])
    if (!application) return undefined
    const { number, agency } = application
    const on =
      (event: string, role: [string, Role], body: object = {}) =>
      (hub: City) =>
        hub.as(...role).post(`/applications/${this.#ids[number]}/${event}`, body)
    if (application.state === 'returned' && random.chance(0.8)) return this.#completion(application)
    const kind = random.between(0, 9)
    if (kind === 2)
      return {
        name: `application ${number} is returned`,
        call: on('return', ['city', 'office'], { reason: '请补正' }),
        follow: (model) => model.sendBack(model.applications[number]!),
      }
    if (kind === 0)
      return {
        name: `application ${number} is rejected`,
        call: on('reject', ['city', 'office'], { reason: '依据不足' }),
        follow: (model) => model.reject(model.applications[number]!),
      }
    if (kind === 1)
      return {
        name: `application ${number} is withdrawn`,
        call: on('withdraw', [agency, 'user']),
        follow: (model) => model.withdraw(model.applications[number]!),
      }
    const part = random.chance(0.4) ? application.items.filter(() => random.chance(0.6)) : undefined
    const untilDay = random.chance(0.3)
      ? new Date(this.#city.now.getTime() + random.between(0, 15) * day).toISOString().slice(0, 10)
      : undefined
    return {
      name: `application ${number} is approved${part ? `: ${part.join(' ')}` : ''}${untilDay ? ` until ${untilDay}` : ''}`,
      call: on('approve', ['city', 'office'], { ...(part && { items: part }), ...(untilDay && { until: untilDay }) }),
      follow: (model) =>
        model.approve(model.applications[number]!, part ?? application.items, untilDay === undefined ? undefined : endOf(untilDay)),
    }
  }

  /** In other words, and for other items. */
  async #completion(application: Application): Promise<Act> {
    const random = this.#random
    const { number, agency, machine, resource, standard: by, until, atEnd } = application
    const target = by === undefined ? { resource: resource! } : { standard: by }
    const known = by === undefined ? this.#model.resources.get(resource!)!.version.items.filter(({ closed }) => !closed).map(({ id }) => id) : this.#model.standards.get(by)! // prettier-ignore
    const items = known.filter(() => random.chance(0.6))
    const lastDay = until === undefined ? {} : { until: new Date(until - 1).toISOString().slice(0, 10) }
    const path = `/applications/${this.#ids[number]}`
    const body = { mode: 'exchange', items, purpose: '核验', basis: '三定方案第二条', agent: machine, atEnd, ...lastDay }
    const changed = await random.pick(this.#hubs).as(agency, 'user').post(`${path}/change`, body)
    if (changed.status !== 200) throw new Error(`a change of what was returned is refused: ${changed.text}`)
    return {
      name: `application ${number} comes again for ${items.join(' ')}`,
      call: (hub) => hub.as(agency, 'user').post(`${path}/submit`),
      follow: (model) => model.complete(model.applications[number]!, { ...target, agency, machine, items, until, atEnd }),
    }
  }

  #consent(): Act | undefined {
    const application = this.#someApplication(['consulting', 'approved', 'reviewing'])
    if (!application) return undefined
    const { number } = application
    const provider = this.#random.pick(['civil', 'health'])
    const answer = this.#random.pick(['consented', 'consented', 'objected'] as const)
    const event = answer === 'consented' ? 'consent' : 'object'
    return {
      name: `${provider} has ${answer} to application ${number}`,
      call: (hub) =>
        hub
          .as(provider, 'reviewer')
          .post(`/applications/${this.#ids[number]}/${event}`, answer === 'objected' ? { reason: '与职能无关' } : {}),
      follow: (model) => model.consent(model.applications[number]!, provider, answer),
    }
  }

  #onGrant(): Act | undefined {
    const random = this.#random
    const { accesses } = this.#model
    if (accesses.length === 0) return undefined
    const inForce = accesses.filter(({ ended }) => ended === undefined)
    const access = random.pick(inForce.length > 0 && random.chance(0.95) ? inForce : accesses)
    const at = accesses.indexOf(access)
    const id = this.#grantOf(access)
    if (id === undefined) return undefined
    const { agency, state } = access
    const event = random.pick(
      state === 'held'
        ? ['accept', 'accept', 'revoke']
        : state === 'suspended'
          ? ['resume', 'resume', 'accept']
          : ['suspend', 'revoke', 'give-up', 'resume'],
    )
    const { version: now } = this.#model.resources.get(access.resource)!
    const items = random.chance(0.85)
      ? access.items.filter((one) => now.items.some((item) => item.id === one && !item.closed) && random.chance(0.9))
      : now.items.map((item) => item.id)
    const bodies: Record<string, object> = { accept: { items }, resume: {} }
    const by: [string, Role] = event === 'accept' || event === 'give-up' ? [agency, 'user'] : ['city', 'office']
    const ordered = now.items.map((item) => item.id).filter((one) => items.includes(one))
    const follow: Record<string, (model: Sharing, it: Access) => boolean> = {
      suspend: (model, it) => model.suspend(it),
      resume: (model, it) => model.resume(it),
      revoke: (model, it) => model.revoke(it),
      'give-up': (model, it) => model.giveUp(it),
      accept: (model, it) => model.accept(it, ordered),
    }
    return {
      name: `${event} ${id} (${nameOf(access)})${event === 'accept' ? `: ${items.join(' ')}` : ''}`,
      call: (hub) => hub.as(...by).post(`/grants/${id}/${event}`, bodies[event] ?? { reason: '核查' }),
      follow: (model) => follow[event]!(model, model.accesses[at]!),
    }
  }

  #onResource(): Act | undefined {
    const random = this.#random
    const code = random.pick([...owned, ...adopted])
    const { state, provider } = this.#model.resources.get(code)!
    const event =
      state === 'stopped' && random.chance(0.7) ? 'release' : random.chance(0.06) ? 'withdraw' : random.pick(['stop', 'stop', 'release'])
    const by: [string, Role] = event === 'withdraw' ? [provider, 'reviewer'] : ['city', 'secrecy']
    return {
      name: `${event} ${code}`,
      call: (hub) => hub.as(...by).post(`/resources/${code}/${event}`, { reason: '职能调整' }),
      follow: (model) => (event === 'withdraw' ? model.withdrawResource(code) : event === 'stop' ? model.stop(code) : model.release(code)),
    }
  }

  #onPublication(): Act | undefined {
    const days = (ahead: number): [string, number] => {
      const text = new Date(this.#city.now.getTime() + ahead * day).toISOString().slice(0, 10)
      return [text, endOf(text)]
    }
    return publicationAct(this.#random, this.#model, (access) => this.#grantOf(access), this.#publications, days)
  }

  /** The grant of an access; unknown of one that has ended, where a later one has its name. */
  #grantOf(access: Access): string | undefined {
    const later = this.#model.accesses.some((one) => one !== access && one.ended === undefined && nameOf(one) === nameOf(access))
    return later ? undefined : this.#grants.get(nameOf(access))
  }

  /** An agency with people, machines, resources or grants stays: nothing of it is touched (Art. 2). */
  #closeAgency(): Act {
    const agency = this.#random.pick(['civil', 'health', 'water'])
    return {
      name: `${agency} is closed`,
      call: (hub) => hub.as('city', 'office').patch(`/agencies/${agency}`, { state: 'closed' }),
      follow: () => false,
    }
  }

  #revokeMachine(): Act {
    const { id } = this.#random.pick(this.#machines)
    return {
      name: `machine ${id} is revoked`,
      call: (hub) => hub.as('city', 'office').post(`/agents/${id}/revoke`, { reason: '设备遗失' }),
      follow: (model) => model.revokeMachine(id),
    }
  }

  // What there is, and what there should be.

  /** What is wrong of a policy stays wrong: each is looked at now and then, and at the end. */
  async compare(policies = this.#random.chance(0.25)): Promise<void> {
    const [found, expected] = [await this.#registry(policies), this.#expected(this.#model, policies)]
    if (isDeepStrictEqual(found, expected)) return
    throw new Error(
      `after: ${this.steps.slice(-12).join('\n  ')}\nthere is ${JSON.stringify(found, undefined, 1)}\nthe regulation says ${JSON.stringify(expected, undefined, 1)}`,
    )
  }

  #expected(model: Sharing, policies: boolean) {
    return {
      revoked: [...model.revoked].toSorted(),
      resources: [...model.resources.values()].map(({ code, state, number }) => `${code} ${state} ${number}`).toSorted(),
      applications: Object.fromEntries(
        model.applications.map(({ number, state, consents }) => [
          this.#ids[number]!,
          [state, ...[...consents].map(([code, answer]) => `${code} ${answer}`).toSorted()],
        ]),
      ),
      grants: model.accesses.map((access) => `${nameOf(access)} ${access.state}`).toSorted(),
      openings: model.openings.map(({ resource, items, state }) => [resource, items.join(' '), state].join(' | ')),
      open: policies ? all.map((code) => opens(model, code) ?? null) : [],
      publications: model.publications.map(({ access, items, state, until }) =>
        [model.accesses[access]!.resource, items.join(' '), state, until ?? null].join(' | '),
      ),
      closed: [],
      machines: this.#machinesIf(policies).map(({ id }) => ({
        receives: model.receives(id).map(({ resource, items, until }) => [resource, items.toSorted().join(' '), until ?? null].join(' | ')).toSorted(), // prettier-ignore
        removes: model.removes(id).toSorted(),
      })),
    }
  }

  async #registry(policies: boolean) {
    const city = this.#city
    return this.#persist(async () => {
      const { query } = city.store
      const resources = await query<{ said: string }>(
        `select concat_ws(' ', code, case state when 'suspended' then 'stopped' else state end, catalog_version) as said from resource`,
      )
      const revoked = await query<{ id: string }>(`select id from agent where state = 'revoked'`)
      const applications = await query<{ id: string; said: string[] }>(
        `select a.id, array_prepend(a.state, array(select c.resource || ' ' || c.state from application_consent c where c.application = a.id order by 1)) as said
         from application a where submitted_at is not null`,
      )
      const grants = await query<{ id: string; name: string; state: string }>(
        `select g.id, g.resource || ' ' || t.agent as name, g.state from access_grant g join route t on t.access_grant = g.id`,
      )
      for (const { id, name, state } of grants)
        if (['active', 'suspended', 'held'].includes(state) || !this.#grants.has(name)) this.#grants.set(name, id)
      const publications = await query<{ id: string; resource: string; items: string[]; state: string; until: Date | null }>(
        'select id, resource, items, state, until from publication_request order by id',
      )
      this.#publications = publications.map(({ id }) => id)
      const openings = await query<{ id: string; resource: string; items: string[]; state: string }>(
        'select id, resource, items, state from opening order by id',
      )
      this.#openings = openings.map(({ id }) => id)
      const open = []
      for (const code of policies ? all : []) open.push(await this.#readsOpen(code))
      const closed = await query<{ code: string }>(`select code from agency where state = 'closed'`)
      const machines = []
      for (const { id } of this.#machinesIf(policies)) {
        const [{ state } = { state: '' }] = await query<{ state: string }>('select state from agent where id = $1', [id])
        if (state === 'revoked') {
          machines.push({ receives: [], removes: [] })
          continue
        }
        const { jws } = await currentPolicy(city.store, hubKey, id, 0, city.now, { days: 30 })
        const { receive, ended = [] } = openPolicy(jws, hubKey.publicKey, id, 0)
        const shown = receive.map(({ schema, items, expires }) => [schema.resource, items.toSorted().join(' '), expires === undefined ? null : Date.parse(expires)].join(' | ')) // prettier-ignore
        machines.push({ receives: shown.toSorted(), removes: ended.map(({ resource }) => resource).toSorted() })
      }
      return {
        revoked: revoked.map(({ id }) => id).toSorted(),
        resources: resources.map(({ said }) => said).toSorted(),
        applications: Object.fromEntries(applications.map(({ id, said }) => [id, said])),
        grants: grants.map(({ name, state }) => `${name} ${state}`).toSorted(),
        openings: openings.map(({ resource, items, state }) => [resource, items.join(' '), state].join(' | ')),
        open,
        publications: publications.map(({ resource, items, state, until }) =>
          [resource, items.join(' '), state, until?.getTime() ?? null].join(' | '),
        ),
        closed: closed.map(({ code }) => code),
        machines,
      }
    })
  }

  /** The items that the page shows to somebody whom nobody knows; null where it says that there is no such thing. */
  async #readsOpen(code: string): Promise<string[] | null> {
    const n = this.#strangers++
    const remoteAddress = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`
    const { statusCode, body } = await this.#random.pick(this.#hubs).app.inject({ url: `/open/${code}`, remoteAddress })
    if (statusCode === 404) return null
    if (statusCode !== 200) throw new Error(`/open/${code}: ${statusCode} ${body.slice(0, 300)}`)
    return Array.from(body.matchAll(/<code>(\w+)<\/code>/g), ([, id]) => id!)
  }

  #machinesIf(policies: boolean) {
    return policies ? this.#machines : []
  }

  /** Connections that were killed are made anew at the next try. */
  async #persist<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        const done = await work()
        const { status = 200 } = (done ?? {}) as Partial<Answer>
        if (status < 500) return done
      } catch (error) {
        if (tries === 20) throw error
      }
      await new Promise(setImmediate)
    }
  }
}

const nameOf = ({ resource, machine }: Access) => `${resource} ${machine}`

function must(answer: Answer): any {
  if (answer.status === 200) return answer.body
  throw new Error(`${answer.status} ${answer.text}`)
}

const given: Item[] = [...licences().items].map(({ id, key = false, label, length = 0 }) => {
  return { id, key, closed: false, open: id === 'holder', label, length }
})

const firstVersion: Version = { sharing: 'unconditional', secret: false, exchange: true, items: given }

function addExtra(items: Item[], random: Random): Item[] {
  const id = `e${random.between(1, 4)}`
  if (items.some((item) => item.id === id)) return items
  return [...items, { id, key: false, closed: random.chance(0.2), open: random.chance(0.3), label: id, length: 100 }]
}

/** The catalog entry that says so. Each item is collected with a legal basis, whoever else has it (Art. 13). */
function content(code: string, { sharing, secret, exchange, items }: Version, byStandard: boolean): CatalogContent {
  const roles = new Map(licences().items.map((item) => [item.id, item]))
  return licences((c) => {
    Object.assign(c, {
      title: `许可 ${code}`,
      sharing,
      secrecy: secret,
      shareModes: exchange ? ['query', 'exchange'] : ['query'],
      ...(sharing !== 'unconditional' && { sharingConditions: '法定职责' }),
      table: byStandard ? 'permits' : code.replace('.', '_'),
      items: items.map(({ id, closed, open, label, length }) => ({
        ...(roles.get(id) ?? textItem(id, label)),
        label,
        ...(length > 0 && { length }),
        openness: closed ? 'closed' : open ? 'public' : 'internal',
      })),
      exceptions: items.map(({ id }) => ({ item: id, basis: '《统计法》第七条' })),
    })
  })
}
