/**
 * Who may receive what, now: the regulation's part on sharing reckoned once more, without the product (Art. 5, 7, 16, 17, 21, 26, 27). Acts
 * return whether the regulation allows them, and change nothing where it does not. Days and hours are numbers of milliseconds.
 */

import type { Opening } from './openings.ts'
import type { Publication } from './publications.ts'

export interface Item {
  id: string
  key: boolean
  /** 不公开. */
  closed: boolean
  /** 对外公开, where it is not closed. */
  open: boolean
  label: string
  length: number
}

/** What a provider says of a resource. */
export interface Version {
  /** Without conditions, on conditions, or not at all (Art. 5). */
  sharing: 'unconditional' | 'conditional' | 'none'
  secret: boolean
  /** Shared by exchange between machines (Art. 16). */
  exchange: boolean
  items: readonly Item[]
}

export interface Resource {
  code: string
  provider: string
  standard: string | undefined
  state: 'active' | 'stopped' | 'withdrawn'
  /** How often it was published. */
  number: number
  version: Version
}

export interface Wanted {
  agency: string
  machine: string
  resource?: string
  standard?: string
  items: readonly string[]
  until: number | undefined
  atEnd: 'keep' | 'remove'
}

export interface Application extends Wanted {
  number: number
  state: 'returned' | 'consulting' | 'reviewing' | 'approved' | 'rejected' | 'withdrawn'
  consents: Map<string, 'asked' | 'consented' | 'objected'>
  approval: { items: readonly string[]; until: number | undefined; order: number } | undefined
}

/** What one agency's machine may have of a resource. */
export interface Access {
  resource: string
  agency: string
  machine: string
  application: number
  items: readonly string[]
  until: number | undefined
  atEnd: 'keep' | 'remove'
  state: 'active' | 'suspended' | 'held' | 'revoked' | 'given-up' | 'expired'
  /** A version that it cannot just go on with has come since it was accepted. */
  stale: boolean
  /** Order of the approval that it stands on. */
  basis: number
  /** Order of its end. */
  ended: number | undefined
}

const has = (version: Version, id: string) => version.items.some((item) => item.id === id && !item.closed)

export class Sharing {
  now: number
  readonly resources = new Map<string, Resource>()
  /** Items of a data standard 数据标准. */
  readonly standards = new Map<string, readonly string[]>()
  readonly applications: Application[] = []
  readonly accesses: Access[] = []
  readonly publications: Publication[] = []
  readonly openings: Opening[] = []
  /** Machines that are no part of the platform any more. */
  readonly revoked = new Set<string>()
  #order = 0

  constructor(now: number) {
    this.now = now
  }

  static copy(model: Sharing): Sharing {
    const { resources, standards, applications, accesses, publications, openings, revoked } = model
    const parts = { resources, standards, applications, accesses, publications, openings, revoked }
    const made = Object.assign(new Sharing(model.now), structuredClone(parts))
    made.#order = model.#order
    return made
  }

  // What flows.

  /** Items by resource that a machine receives: the key goes with everything, what is closed with nothing. */
  receives(machine: string): { resource: string; items: string[]; until: number | undefined }[] {
    if (this.revoked.has(machine)) return []
    return this.accesses
      .filter((access) => access.machine === machine && access.state === 'active' && !this.isOver(access))
      .flatMap(({ resource: code, items, until }) => {
        const { state, version } = this.resources.get(code)!
        if (state !== 'active' || version.sharing === 'none' || version.secret || !version.exchange) return []
        const sent = version.items.filter(({ id, key, closed }) => !closed && (key || items.includes(id)))
        return [{ resource: code, items: sent.map(({ id }) => id), until }]
      })
  }

  /** Resources whose delivered rows go. */
  removes(machine: string): string[] {
    if (this.revoked.has(machine)) return []
    return this.accesses
      .filter((access) => access.machine === machine && access.atEnd === 'remove' && (access.ended !== undefined || this.isOver(access)))
      .map(({ resource }) => resource)
  }

  // The provider.

  publish(resource: Omit<Resource, 'state' | 'number'>, sameMeaning: readonly string[]): boolean {
    const { code, version } = resource
    const before = this.resources.get(code)
    if (before?.state === 'withdrawn') return false
    this.resources.set(code, { ...resource, state: before?.state ?? 'active', number: (before?.number ?? 0) + 1 })
    if (before) {
      if (version.sharing === 'none' || version.secret || !version.exchange) this.#endAll(code, version.secret)
      for (const access of this.#inForce(code)) {
        if (this.isOver(access) || !touched(access.items, before.version, version, sameMeaning)) continue
        access.stale = true
        if (access.state === 'active') access.state = 'held'
      }
    }
    this.#followConditions(code)
    this.#giveApproved(code)
    return true
  }

  /** What was approved for all who publish by a standard covers whatever may be shared by now. */
  #giveApproved(code: string): void {
    for (const application of this.applications) {
      const covers = application.standard !== undefined && this.#covered(application).some((resource) => resource.code === code)
      if (application.state === 'approved' && covers) this.#give(application)
    }
  }

  /** Applications that wait follow what is said of sharing now: who must be asked is asked, who need not be is not waited for. */
  #followConditions(code: string): void {
    for (const application of this.#waitingFor(code)) {
      const { consents } = application
      const conditional = this.#conditional(application)
      if (conditional.some((resource) => resource.code === code) && !consents.has(code)) {
        application.state = 'consulting'
        for (const resource of conditional) if (!consents.has(resource.code)) consents.set(resource.code, 'asked')
      } else if (consents.get(code) === 'asked' && !this.#needsConsent(code)) {
        for (const [asked, state] of consents) if (state === 'asked' && !this.#needsConsent(asked)) consents.delete(asked)
        if (![...consents.values()].includes('asked')) application.state = 'reviewing'
      }
    }
  }

  /** At once, or when it is no longer stopped. */
  #needsConsent(code: string): boolean {
    const resource = this.resources.get(code)!
    const state = resource.state === 'stopped' ? 'active' : resource.state
    return this.#canBeHad({ ...resource, state }) && resource.version.sharing === 'conditional'
  }

  consent(application: Application, provider: string, answer: 'consented' | 'objected'): boolean {
    if (!['consulting', 'reviewing', 'approved'].includes(application.state)) return false
    const asked = this.#conditional(application).filter((resource) => resource.provider === provider)
    const open = asked.filter(
      ({ code }) => !this.accesses.some((access) => access.application === application.number && access.resource === code),
    )
    if (asked.length === 0 || (application.state === 'approved' && open.length === 0)) return false
    const waiting = [...application.consents].filter(([, state]) => state === 'asked')
    const last = waiting.every(([code]) => this.resources.get(code)!.provider === provider)
    for (const { code } of open) application.consents.set(code, answer)
    if (application.state === 'consulting' && last) application.state = 'reviewing'
    if (application.state === 'approved' && answer === 'consented') this.#give(application)
    return true
  }

  withdrawResource(code: string): boolean {
    const resource = this.resources.get(code)!
    if (resource.state === 'withdrawn') return false
    resource.state = 'withdrawn'
    this.#endAll(code, false)
    this.#followConditions(code)
    return true
  }

  /** The secrecy supervisor (Art. 26). */
  stop(code: string): boolean {
    const resource = this.resources.get(code)!
    if (resource.state !== 'active') return false
    resource.state = 'stopped'
    return true
  }

  release(code: string): boolean {
    const resource = this.resources.get(code)!
    if (resource.state !== 'stopped') return false
    resource.state = 'active'
    this.#followConditions(code)
    this.#giveApproved(code)
    return true
  }

  // The receiver.

  apply(wanted: Wanted): Application | undefined {
    if (!this.#mayWant(wanted)) return undefined
    const application: Application = {
      ...wanted,
      number: this.applications.length,
      state: 'reviewing',
      consents: new Map(),
      approval: undefined,
    }
    this.#ask(application)
    this.applications.push(application)
    return application
  }

  #ask(application: Application): void {
    for (const { code } of this.#conditional(application)) application.consents.set(code, 'asked')
    application.state = application.consents.size > 0 ? 'consulting' : 'reviewing'
  }

  /** What was returned is asked for again, in other words: what providers said of the former ones is nothing. */
  complete(application: Application, wanted: Wanted): boolean {
    if (application.state !== 'returned' || !this.#mayWant(wanted)) return false
    Object.assign(application, wanted)
    this.#ask(application)
    return true
  }

  withdraw(application: Application): boolean {
    if (!['returned', 'consulting', 'reviewing'].includes(application.state)) return false
    application.state = 'withdrawn'
    return true
  }

  giveUp(access: Access): boolean {
    return this.#end(access, 'given-up')
  }

  /** Of what was approved, and of a key, which goes with everything. */
  accept(access: Access, items: readonly string[]): boolean {
    const { version } = this.resources.get(access.resource)!
    const key = (id: string) => version.items.some((item) => item.id === id && item.key)
    if (access.state !== 'held' || items.length === 0) return false
    if (!items.every((id) => has(version, id) && (access.items.includes(id) || key(id)))) return false
    Object.assign(access, { items, stale: false, state: 'active' })
    return true
  }

  // The office.

  approve(application: Application, items: readonly string[], until: number | undefined): boolean {
    const { state, standard, consents } = application
    if (state !== 'reviewing' && !(state === 'consulting' && standard !== undefined)) return false
    if (!this.#mayWant(application)) return false
    if (items.length === 0 || items.some((id) => !application.items.includes(id))) return false
    if (until !== undefined && (until <= this.now || (application.until !== undefined && until > application.until))) return false
    const shared = this.#covered(application).filter((resource) => this.#canBeHad(resource))
    const unanswered = shared.filter(({ code, version }) => version.sharing === 'conditional' && consents.get(code) !== 'consented')
    const waiting = unanswered.some(({ code }) => consents.get(code) !== 'objected')
    if (shared.length > 0 && unanswered.length === shared.length && !(standard !== undefined && waiting)) return false
    application.state = 'approved'
    application.approval = { items, until: until ?? application.until, order: ++this.#order }
    this.#give(application)
    return true
  }

  reject(application: Application): boolean {
    if (!['consulting', 'reviewing'].includes(application.state)) return false
    application.state = 'rejected'
    return true
  }

  /** To be completed by the applicant. */
  sendBack(application: Application): boolean {
    if (!['consulting', 'reviewing'].includes(application.state)) return false
    application.state = 'returned'
    application.consents.clear()
    return true
  }

  /** Once and for all; a second time nothing happens. */
  revokeMachine(machine: string): boolean {
    this.revoked.add(machine)
    return true
  }

  revoke(access: Access): boolean {
    return this.#end(access, 'revoked')
  }

  suspend(access: Access): boolean {
    if (access.state !== 'active') return false
    access.state = 'suspended'
    return true
  }

  resume(access: Access): boolean {
    if (access.state !== 'suspended' || (!access.stale && this.isOver(access))) return false
    access.state = access.stale ? 'held' : 'active'
    return true
  }

  /** Time passes over whatever is over. */
  expire(): void {
    for (const access of this.accesses) if (this.isOver(access)) this.#end(access, 'expired')
  }

  // The rules behind.

  isOver({ until }: Access): boolean {
    return until !== undefined && until <= this.now
  }

  #inForce(code: string): Access[] {
    return this.accesses.filter(({ resource, ended }) => resource === code && ended === undefined)
  }

  #end(access: Access, how: 'revoked' | 'given-up' | 'expired'): boolean {
    if (access.ended !== undefined) return false
    access.state = how
    access.ended = ++this.#order
    return true
  }

  /** What is not shared any more flows to nobody; what is secret leaves those who have it. */
  #endAll(code: string, remove: boolean): void {
    for (const access of this.#inForce(code)) {
      this.#end(access, 'revoked')
      if (remove) access.atEnd = 'remove'
    }
  }

  /** One resource, or what other agencies publish by a standard. */
  #covered({ agency, resource, standard }: Wanted): Resource[] {
    const all = [...this.resources.values()].toSorted((a, b) => (a.code < b.code ? -1 : 1))
    return all.filter((one) => one.code === resource || (standard !== undefined && one.standard === standard && one.provider !== agency))
  }

  #canBeHad({ state, version: { sharing, secret, exchange, items } }: Resource): boolean {
    return state === 'active' && sharing !== 'none' && !secret && exchange && items.some(({ key, closed }) => !key && !closed)
  }

  #conditional(wanted: Wanted): Resource[] {
    return this.#covered(wanted).filter((resource) => this.#canBeHad(resource) && resource.version.sharing === 'conditional')
  }

  #waitingFor(code: string): Application[] {
    const waits = ({ state }: Application) => state === 'consulting' || state === 'reviewing'
    return this.applications.filter(
      (application) => waits(application) && this.#covered(application).some((resource) => resource.code === code),
    )
  }

  #mayWant(wanted: Wanted): boolean {
    if (this.revoked.has(wanted.machine) || wanted.items.length === 0 || (wanted.until !== undefined && wanted.until <= this.now))
      return false
    if (wanted.standard !== undefined) return wanted.items.every((id) => this.standards.get(wanted.standard!)!.includes(id))
    const resource = this.resources.get(wanted.resource!)!
    return resource.provider !== wanted.agency && this.#canBeHad(resource) && wanted.items.every((id) => has(resource.version, id))
  }

  /** An approval gives access once, to whatever it covers and may be shared; a conditional resource waits for its provider. */
  #give(application: Application): void {
    const { approval, consents, agency, machine, number, atEnd } = application
    if (approval!.until !== undefined && approval!.until <= this.now) return
    for (const resource of this.#covered(application)) {
      const { code, version } = resource
      const items = approval!.items.filter((id) => has(version, id))
      if (!this.#canBeHad(resource) || items.length === 0 || this.#isUsedUp(application, code)) continue
      if (version.sharing === 'conditional') {
        if (!consents.has(code)) consents.set(code, 'asked')
        if (consents.get(code) !== 'consented') continue
      }
      const given = { application: number, items, until: approval!.until, atEnd, stale: false, basis: approval!.order }
      const known = this.#inForce(code).find((access) => access.agency === agency && access.machine === machine)
      if (known) Object.assign(known, given, { state: known.state === 'suspended' ? 'suspended' : 'active' })
      else this.accesses.push({ ...given, resource: code, agency, machine, state: 'active', ended: undefined })
    }
  }

  /** It gave access already, another approval has taken its place, or what the agency had was taken away, or was over, since. */
  #isUsedUp({ number, approval, agency, machine }: Application, code: string): boolean {
    const of = this.accesses.filter((access) => access.resource === code && access.agency === agency)
    return of.some((access) => {
      if (access.application === number) return true
      if (access.ended !== undefined) return access.ended > approval!.order && (access.state !== 'expired' || access.machine === machine)
      return access.basis > approval!.order && access.machine === machine
    })
  }
}

/** Whether a receiver of these items cannot just go on with the next version: another key, another meaning, less than it has. */
function touched(items: readonly string[], before: Version, after: Version, sameMeaning: readonly string[]): boolean {
  const keys = (version: Version) =>
    version.items
      .filter(({ key }) => key)
      .map(({ id }) => id)
      .toSorted()
      .join()
  if (keys(before) !== keys(after)) return true
  return before.items.some((old) => {
    if (!old.key && !items.includes(old.id)) return false
    const now = after.items.find(({ id }) => id === old.id)
    return !now || now.length < old.length || (now.label !== old.label && !sameMeaning.includes(old.id))
  })
}
