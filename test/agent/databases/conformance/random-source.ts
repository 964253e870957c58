/** A source as a plain map, and what an application does to it. It shares no code with the product. */
import { Random } from '../../../faults/random.ts'

export interface Line {
  code: string | null
  region: string | null
  nr: string
  due: string
  parent: string | null
  owner: string | null
  name: string
}

/** What the receiver has around its table, and whether the source keeps to the same rules. */
export interface Rules {
  code: boolean
  codeNeeded: boolean
  place: boolean
  due: boolean
  parent: boolean
  owner: boolean
  check: boolean
  trigger: 'none' | 'refusing' | 'silent'
  local: boolean
  /** Rows of the source may be against them, until it mends them. */
  loose: boolean
}

const ids = [...Array.from({ length: 24 }, (_, i) => `k${i}`), 'kept']
const codes = Array.from({ length: 30 }, (_, i) => `c${i}`)
const dues = Array.from({ length: 28 }, (_, i) => `2026-02-${String(i + 1).padStart(2, '0')}`)
const places = ['东', '西', '南', null].flatMap((region) => ['1', '2', '3', '4', '5', '6', '7'].map((nr) => ({ region, nr })))
export const owners = ['o0', 'o1', 'o2', 'o3', 'o4']
/** Beside the plain ones: those that a receiver's triggers and checks do not like. */
const oddNames = ['unwanted', 'refused', 'dropped', 'altered']

export class SourceModel {
  readonly random: Random
  readonly rules: Rules
  readonly rows = new Map<string, Line>()
  #waiting: string[] = []
  #made = 0

  constructor(seed: number) {
    this.random = new Random(seed)
    const some = (probability = 0.6) => this.random.chance(probability)
    this.rules = {
      code: some(),
      codeNeeded: some(0.4),
      place: some(),
      due: some(),
      parent: some(0.5),
      owner: some(0.3),
      check: some(0.3),
      trigger: this.random.pick(['none', 'none', 'refusing', 'silent']),
      local: some(0.3),
      loose: some(0.3),
    }
  }

  get shows(): string {
    return Object.entries(this.rules)
      .flatMap(([name, value]) => (value === true ? [name] : typeof value === 'string' && value !== 'none' ? [value] : []))
      .join(', ')
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Keys of the next batch: the first to have changed, each once, in any order. */
  take(most: number): string[] {
    const taken = this.#waiting.splice(0, most)
    return this.random.chance(0.5) ? taken : taken.toReversed()
  }

  takeAll(): string[] {
    this.#waiting = []
    return [...this.rows.keys()]
  }

  #note(...keys: string[]): void {
    for (const key of keys) if (!this.#waiting.includes(key)) this.#waiting.push(key)
  }

  /** One transaction of the application. */
  change(): void {
    const kind = this.random.between(0, 11)
    const some = this.#some(this.random.between(2, 5))
    if (kind < 4 || some.length < 2) this.#insert()
    else if (kind === 4) this.#delete(some[0]!)
    else if (kind === 5) this.#rename(some[0]!)
    else if (kind === 6) this.#follow(some)
    else if (kind === 7) this.#update(some[0]!)
    else if (kind === 8 && this.rules.loose) this.#double(some[0]!, some[1]!)
    else if (kind === 9) this.#lead(some)
    else this.#rotate(some)
  }

  #some(count: number): string[] {
    const left = [...this.rows.keys()]
    return Array.from({ length: Math.min(count, left.length) }, () => left.splice(this.random.between(0, left.length - 1), 1)[0]!)
  }

  #line(): Line | undefined {
    const used = [...this.rows.values()]
    const code = this.random.pick(codes.filter((one) => !used.some((row) => row.code === one)))
    const due = this.random.pick(dues.filter((one) => !used.some((row) => row.due === one)))
    const place = this.random.pick(places.filter((one) => !used.some((row) => row.region === one.region && row.nr === one.nr)))
    if (!code || !due || !place) return undefined
    return {
      code: !this.rules.codeNeeded && this.random.chance(0.2) ? null : code,
      due,
      ...place,
      parent: this.random.chance(0.5) && this.rows.size > 0 ? this.random.pick([...this.rows.keys()]) : null,
      owner: this.random.chance(0.3) ? this.random.pick(owners) : null,
      name: this.#name(),
    }
  }

  #name(): string {
    return this.random.chance(0.12) ? this.random.pick(oddNames) : `n${this.#made++}`
  }

  #put(key: string, line: Line): void {
    this.rows.set(key, line)
    this.#note(key)
  }

  #insert(): void {
    const key = this.random.pick(ids.filter((id) => !this.rows.has(id)))
    const line = this.#line()
    if (key && line) this.#put(key, line)
  }

  /** Children go to another parent first. */
  #delete(key: string): void {
    const other = this.random.chance(0.5) ? null : (this.rows.get(key)!.parent ?? null)
    for (const [child, row] of this.rows)
      if (row.parent === key && child !== key) this.#put(child, { ...row, parent: other === child ? null : other })
    this.rows.delete(key)
    this.#note(key)
  }

  /** Another key takes over all values. */
  #rename(key: string): void {
    const fresh = this.random.pick(ids.filter((id) => !this.rows.has(id)))
    if (!fresh) return
    const line = this.rows.get(key)!
    this.#delete(key)
    this.#put(fresh, { ...line, parent: line.parent === key ? fresh : line.parent })
  }

  #update(key: string): void {
    const fresh = this.#line()
    if (!fresh) return
    const field = this.random.pick(['code', 'due', 'parent', 'owner', 'name'] as const)
    this.#put(key, { ...this.rows.get(key)!, [field]: fresh[field] })
  }

  /** Values of a row, as a new row's, and it gets others: so the new one waits for it. */
  #follow([key]: string[]): void {
    const line = this.rows.get(key!)!
    const [fresh, next] = [this.#line(), this.random.pick(ids.filter((id) => !this.rows.has(id)))]
    if (!fresh || !next) return
    const { code, due, region, nr } = line
    this.#put(key!, { ...line, code: fresh.code, due: fresh.due, region: fresh.region, nr: fresh.nr, parent: next })
    this.#put(next, { ...fresh, code, due, region, nr, parent: this.random.chance(0.5) ? null : fresh.parent })
  }

  /** Each becomes the next one's child, the last one's parent stays. */
  #lead(keys: string[]): void {
    for (const [i, key] of keys.slice(1).entries()) this.#put(key, { ...this.rows.get(key)!, parent: keys[i]! })
  }

  /** Two rows or more hand on values in a ring. */
  #rotate(keys: string[]): void {
    const lines = keys.map((key) => this.rows.get(key)!)
    const fields = this.random.pick([['code'], ['due'], ['region', 'nr'], ['code', 'due'], ['code', 'region', 'nr', 'due']] as const)
    for (const [i, key] of keys.entries()) {
      const from = lines[(i + 1) % lines.length]!
      this.#put(key, { ...lines[i]!, ...Object.fromEntries(fields.map((field) => [field, from[field]])) })
    }
  }

  /** Against the receiver's rules. */
  #double(key: string, other: string): void {
    const [line, one] = [this.rows.get(key)!, this.rows.get(other)!]
    const kind = this.random.between(0, 3)
    if (kind === 0) this.#put(key, { ...line, code: one.code })
    else if (kind === 1) this.#put(key, { ...line, due: one.due })
    else if (kind === 2) this.#put(key, { ...line, region: one.region, nr: one.nr })
    else this.#put(key, { ...line, parent: 'nowhere' })
  }

  /** The source keeps to the rules again. */
  mend(): void {
    const seen = { code: new Set<string>(), due: new Set<string>(), place: new Set<string>() }
    const twice = (kind: keyof typeof seen, value: string) => seen[kind].size === seen[kind].add(value).size
    for (const [key, line] of this.rows) {
      const wrong = [line.code !== null && twice('code', line.code), twice('due', line.due), twice('place', `${line.region} ${line.nr}`)]
      const lost = line.parent !== null && !this.rows.has(line.parent)
      if (wrong.includes(true)) {
        this.rows.delete(key)
        this.#note(key)
      } else if (lost) this.#put(key, { ...line, parent: null })
    }
    for (const [key, line] of this.rows) if (line.parent !== null && !this.rows.has(line.parent)) this.#put(key, { ...line, parent: null })
  }
}
