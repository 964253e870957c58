/**
 * Publishing what another agency supplies (Art. 5, 17), reckoned once more: only what one receives can be asked for, the provider consents,
 * and a consent stands no longer than what it stands on.
 */
import type { Role } from '../../hub/records/roles.ts'
import type { Random } from '../faults/random.ts'
import type { Answer, City } from '../hub/city.ts'
import type { Access, Sharing } from './sharing.ts'

export interface Publication {
  /** Place of what it stands on, among all accesses. */
  access: number
  items: readonly string[]
  state: 'asked' | 'consented' | 'refused' | 'withdrawn' | 'ended'
  until: number | undefined
}

const covers = (access: Access, items: readonly string[]) => items.every((id) => access.items.includes(id))

export function askToPublish(model: Sharing, access: number, items: readonly string[]): boolean {
  const on = model.accesses[access]!
  if (items.length === 0 || on.state !== 'active' || model.isOver(on) || !covers(on, items)) return false
  model.publications.push({ access, items, state: 'asked', until: undefined })
  return true
}

/** @returns whether the regulation allows what happens to it. */
export function happens(model: Sharing, publication: Publication, event: string, until: number | undefined): boolean {
  const on = model.accesses[publication.access]!
  const { state, items } = publication
  const move = (from: readonly Publication['state'][], to: Publication['state']) => {
    if (!from.includes(state)) return false
    publication.state = to
    return true
  }
  if (event === 'refuse') return move(['asked'], 'refused')
  if (event === 'withdraw') return move(['asked', 'consented'], 'withdrawn')
  if (event === 'end') return move(['consented'], 'ended')
  if (on.state !== 'active' || model.isOver(on) || !covers(on, items) || (until !== undefined && until <= model.now)) return false
  if (!move(['asked'], 'consented')) return false
  publication.until = until
  return true
}

/** What the hub looks after every minute: consents whose time is over, or whose grant, resource or items are gone. */
export function endConsents(model: Sharing): void {
  for (const publication of model.publications) {
    const { access, items, until } = publication
    const on = model.accesses[access]!
    const { state, version } = model.resources.get(on.resource)!
    const shared = state === 'active' && version.sharing !== 'none' && !version.secret
    const open = items.every((id) => version.items.some((item) => item.id === id && !item.closed))
    const stands = on.ended === undefined && shared && open && covers(on, items) && (until === undefined || until > model.now)
    if (publication.state === 'consented' && !stands) publication.state = 'ended'
  }
}

/** Something that is done about publications. `grantOf`: the grant of an access; `ids`: of the publications, in order. */
export function publicationAct(
  random: Random,
  model: Sharing,
  grantOf: (access: Access) => string | undefined,
  ids: readonly string[],
  days: (ahead: number) => [string, number],
) {
  // prettier-ignore
  const { accesses, publications } = model
  if (accesses.length === 0) return undefined
  const active = accesses.filter((access) => access.state === 'active' && !model.isOver(access))
  const asked = publications.filter(({ access, state }) => state === 'asked' && active.includes(accesses[access]!))
  if (publications.length === 0 || random.chance(asked.length > 0 ? 0.2 : 0.7)) {
    const access = random.pick(active.length > 0 && random.chance(0.9) ? active : accesses)
    const [at, grant] = [accesses.indexOf(access), grantOf(access)]
    if (grant === undefined) return undefined
    const all = random.chance(0.85) ? access.items : model.resources.get(access.resource)!.version.items.map(({ id }) => id)
    const items = all.filter(() => random.chance(0.5))
    const body = { grant, items, place: '门户网站', purpose: '公示', source: '提供单位' }
    return {
      name: `${access.agency} asks to publish ${items.join(' ')} of ${grant}`,
      call: (hub: City): Promise<Answer> => hub.as(access.agency, 'user').post('/publications', body),
      follow: (after: Sharing) => askToPublish(after, at, items),
    }
  }
  const publication = random.pick(asked.length > 0 && random.chance(0.85) ? asked : publications)
  const at = publications.indexOf(publication)
  const { agency, resource } = accesses[publication.access]!
  const event = random.chance(0.75) ? 'consent' : random.pick(['refuse', 'withdraw', 'end'])
  const [day, until] = days(random.between(-1, 10))
  const limited = event === 'consent' && random.chance(0.4)
  const by: [string, Role] = event === 'withdraw' ? [agency, 'user'] : [model.resources.get(resource)!.provider, 'reviewer']
  const body = event === 'consent' ? (limited ? { until: day } : {}) : event === 'withdraw' ? {} : { reason: '核查' }
  return {
    name: `${event} publication ${at}${limited ? ` until ${day}` : ''}`,
    call: (hub: City): Promise<Answer> => hub.as(...by).post(`/publications/${ids[at]}/${event}`, body),
    follow: (after: Sharing) => happens(after, after.publications[at]!, event, limited ? until : undefined),
  }
}
