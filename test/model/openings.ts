/**
 * Open data (Art. 5, 7.5), reckoned once more: the provider proposes public items of what is shared with everybody, the office releases them, and
 * what stands no longer on that ground is open to nobody from that moment on.
 */
import type { Role } from '../../hub/records/roles.ts'
import type { Random } from '../faults/random.ts'
import type { Answer, City } from '../hub/city.ts'
import type { Sharing } from './sharing.ts'

export interface Opening {
  resource: string
  items: readonly string[]
  state: 'proposed' | 'released' | 'returned' | 'withdrawn' | 'ended'
}

/** Items that everybody may have; none where the resource is not shared with everybody now. */
function publicItems(model: Sharing, code: string): string[] {
  const { state, version } = model.resources.get(code)!
  if (state !== 'active' || version.sharing !== 'unconditional' || version.secret) return []
  return version.items.filter(({ open, closed }) => open && !closed).map(({ id }) => id)
}

/** What everybody reads of a resource; undefined where it is as if there were none. */
export function opens(model: Sharing, code: string): string[] | undefined {
  const released = model.openings.find(({ resource, state }) => resource === code && state === 'released')
  const items = released ? publicItems(model, code).filter((id) => released.items.includes(id)) : []
  return items.length > 0 ? items : undefined
}

function mayOpen(model: Sharing, code: string, items: readonly string[]): boolean {
  const open = publicItems(model, code)
  return items.length > 0 && items.every((id) => open.includes(id))
}

/** `items`: all public ones where they are not named. */
export function propose(model: Sharing, resource: string, items: readonly string[] = publicItems(model, resource)): boolean {
  const waits = model.openings.some((one) => one.resource === resource && one.state === 'proposed')
  if (waits || !mayOpen(model, resource, items)) return false
  model.openings.push({ resource, items, state: 'proposed' })
  return true
}

export function happensToOpening(model: Sharing, opening: Opening, event: 'release' | 'return' | 'withdraw'): boolean {
  const { resource, items, state } = opening
  if (state !== 'proposed' && !(event === 'withdraw' && state === 'released')) return false
  if (event === 'release') {
    if (!mayOpen(model, resource, items)) return false
    for (const one of model.openings) if (one.resource === resource && one.state === 'released') one.state = 'ended'
  }
  opening.state = ({ release: 'released', return: 'returned', withdraw: 'withdrawn' } as const)[event]
  return true
}

/** What the hub looks after every minute: what nobody can read any more is said to be over. */
export function endOpenings(model: Sharing): void {
  for (const opening of model.openings)
    if (opening.state === 'released' && opens(model, opening.resource) === undefined) opening.state = 'ended'
}

/** Something that is done about open data. `ids`: of the openings, in order. */
export function openingAct(random: Random, model: Sharing, codes: readonly string[], ids: readonly string[]) {
  const proposed = model.openings.filter(({ state }) => state === 'proposed')
  if (model.openings.length === 0 || random.chance(proposed.length > 0 ? 0.2 : 0.7)) {
    const able = codes.filter((code) => publicItems(model, code).length > 0)
    const code = random.pick(able.length > 0 && random.chance(0.9) ? able : codes)
    const { provider, version } = model.resources.get(code)!
    const all = random.chance(0.9) ? publicItems(model, code) : version.items.map(({ id }) => id)
    const named = random.chance(0.6) ? all.filter(() => random.chance(0.6)) : []
    const items = named.length > 0 ? named : undefined
    return {
      name: `${provider} proposes to open ${code}: ${items?.join(' ') ?? 'what is public'}`,
      call: (hub: City): Promise<Answer> => hub.as(provider, 'reviewer').post('/openings', { resource: code, ...(items && { items }) }),
      follow: (after: Sharing) => propose(after, code, items),
    }
  }
  const opening = random.pick(proposed.length > 0 && random.chance(0.8) ? proposed : model.openings)
  const at = model.openings.indexOf(opening)
  const event = random.chance(0.75) ? 'release' : random.pick(['return', 'withdraw'] as const)
  const provider = model.resources.get(opening.resource)!.provider
  const by: [string, Role] = event === 'withdraw' && random.chance(0.5) ? [provider, 'reviewer'] : ['city', 'office']
  return {
    name: `${event} opening ${at} (${opening.resource}: ${opening.items.join(' ')})`,
    call: (hub: City): Promise<Answer> =>
      hub.as(...by).post(`/openings/${ids[at]}/${event}`, event === 'release' ? {} : { reason: '核查' }),
    follow: (after: Sharing) => happensToOpening(after, after.openings[at]!, event),
  }
}
