/** A receiver's own table with rules of its own, filled by the product, and looked at in plain SQL. */
import type { Change, Part, Replayed, Row } from '../../../../agent/database.ts'
import { applyChange, at, schemaOf, sinkOf, type Filling } from './fixture.ts'
import { owners, type Line, type SourceModel } from './random-source.ts'
import type { Dialect } from './suite.ts'

const fields = ['code', 'region', 'nr', 'due', 'parent', 'owner', 'name'] as const satisfies (keyof Line)[]
const schema = schemaOf([
  { id: 'id', type: 'text', length: 20, key: true, required: true },
  { id: 'code', type: 'text', length: 20 },
  { id: 'region', type: 'text', length: 20 },
  { id: 'nr', type: 'integer' },
  { id: 'due', type: 'date' },
  { id: 'parent', type: 'text', length: 20 },
  { id: 'owner', type: 'text', length: 20 },
  { id: 'name', type: 'text', length: 100 },
])
const sink = sinkOf(schema)
const localKey = 'local'

export class Receiver {
  readonly #engine: Dialect
  readonly #filling: Filling
  readonly #source: SourceModel
  /** All that was sent of each key, the newest last; undefined: it was deleted. */
  readonly #sent = new Map<string, (string | undefined)[]>()
  /** Which of them the table has shown last. */
  readonly #shown = new Map<string, number>()
  /** Keys whose row holds a value of the receiver's own. */
  #remarked: ReadonlySet<string> = new Set()
  #seq = 0
  #epoch = 1

  constructor(engine: Dialect, filling: Filling, source: SourceModel) {
    this.#engine = engine
    this.#filling = filling
    this.#source = source
  }

  #sql(statement: string): Promise<(string | null)[][]> {
    return this.#filling.test.query(statement)
  }

  async begin(): Promise<void> {
    const { rules } = this.#source
    const refers = [
      ...(rules.parent ? [', constraint fk_parent foreign key (parent) references delivered (id)'] : []),
      ...(rules.owner ? [', constraint fk_owner foreign key (owner) references owners (id)'] : []),
    ]
    await this.#sql('create table owners (id varchar(20) not null primary key)')
    await this.#sql(`insert into owners values ('o0')`)
    await this.#sql(
      `create table delivered (id varchar(20) not null primary key, code varchar(20)${rules.code && rules.codeNeeded ? ' not null' : ''},
       region varchar(20), nr ${this.#engine.integer ?? 'integer'} not null, due date not null, parent varchar(20), owner varchar(20),
       name varchar(100), remark varchar(20)${refers.join('')})`,
    )
    if (rules.code) await this.#unique('by_code', 'code')
    if (rules.place) await this.#unique('by_place', 'region, nr')
    if (rules.due) await this.#unique('by_due', 'due')
    const check = this.#engine.addCheck?.('delivered', 'wanted', 'name', `<> 'unwanted'`)
    const added = check ?? [`alter table delivered add constraint wanted check (name <> 'unwanted')`]
    if (rules.check) for (const statement of added) await this.#sql(statement)
    const triggers = {
      none: [],
      refusing: this.#engine.refusingTrigger('delivered'),
      silent: this.#engine.silentTriggers?.('delivered') ?? [],
    }
    for (const statement of triggers[rules.trigger]) await this.#sql(statement)
    if (rules.local)
      await this.#sql(
        `insert into delivered (id, code, region, nr, due, name) values ('${localKey}', 'c1', '东', 1, ${this.#engine.literal('date', '2026-02-01')}, 'ours')`,
      )
    await this.#filling.delivery.open(sink)
  }

  async #unique(name: string, columns: string): Promise<void> {
    const engine = this.#engine
    const made = engine.addUniqueOverNulls?.('delivered', columns, name) ?? engine.addUnique?.('delivered', columns, name)
    await this.#sql(made ?? `alter table delivered add constraint ${name} unique (${columns})`)
  }

  /** Nothing of it stays. */
  async end(): Promise<void> {
    while (!(await this.#filling.delivery.remove(sink.route))!.done);
    await this.#filling.delivery.settleRemovals([])
    await this.#sql('drop table delivered')
    await this.#sql('drop table owners')
  }

  async batch(most: number): Promise<void> {
    const keys = this.#source.take(most)
    if (keys.length === 0) return
    const from = this.#seq === 0 ? null : at(this.#seq, this.#epoch)
    await this.#apply('live', keys, { from, to: at(++this.#seq, this.#epoch) })
    await this.#look()
  }

  async #apply(part: Part, keys: readonly string[], sketch: Pick<Change, 'from' | 'to' | 'snapshot'>): Promise<void> {
    const lines = keys.map((key) => this.#source.rows.get(key))
    const columns: Row[] = [keys, ...fields.map((field) => lines.map((line) => line?.[field] ?? null))]
    const ops = lines.map((line) => (line ? 'u' : 'd'))
    const { delivery } = this.#filling
    await applyChange(delivery, sink, { ...sketch, rows: keys.length, columns, ops }, part)
    for (const [i, key] of keys.entries()) this.#note(key, lines[i])
  }

  #note(key: string, line: Line | undefined): void {
    const state = line && JSON.stringify(fields.map((field) => line[field]))
    const sent = this.#sent.get(key) ?? [undefined]
    if (sent.at(-1) !== state) this.#sent.set(key, [...sent, state])
  }

  /** All rows anew, beside the old ones, in two batches; then they are put in their place. */
  async refill(): Promise<void> {
    const { delivery } = this.#filling
    const keys = this.#source.takeAll()
    const gone = [...this.#sent.keys()].filter((key) => !this.#source.rows.has(key))
    await delivery.beginShadow(sink)
    this.#epoch++
    const began = at(1, this.#epoch)
    const half = Math.ceil(keys.length / 2)
    await this.#apply('shadow', keys.slice(0, half), { from: null, to: began, snapshot: { began, last: false } })
    await this.#apply('shadow', keys.slice(half), { from: began, to: at(2, this.#epoch), snapshot: { began, last: true } })
    for (const key of gone) this.#note(key, undefined)
    this.#seq = 2
    await delivery.swap(sink)
    await this.#look()
  }

  async retry(): Promise<Replayed> {
    const replayed = await this.#filling.delivery.replay(sink, 'live')
    await this.#look()
    return replayed
  }

  /** The table is as it was sent; what is not stands in quarantine, as it once was. */
  async #look(): Promise<void> {
    const there = new Map((await this.#rows()).map(([id, remark, ...row]) => [id!, { remark, state: JSON.stringify(row) }]))
    const listed = await this.#filling.database.quarantine(sink.route, 1000)
    const aside = new Set(listed.map(({ key }) => String(key[0])))
    const wrong: string[] = []
    for (const key of there.keys()) if (!this.#sent.has(key)) wrong.push(`${key} was never sent`)
    for (const key of aside) if (!this.#sent.has(key)) wrong.push(`${key} stands in quarantine and was never sent`)
    for (const [key, sent] of this.#sent) {
      const { state, remark } = there.get(key) ?? {}
      const shown = sent.lastIndexOf(state)
      if (!aside.has(key) && state !== sent.at(-1)) wrong.push(`${key} is ${state}, not ${sent.at(-1)}, and not in quarantine`)
      if (shown < (this.#shown.get(key) ?? 0)) wrong.push(`${key} is ${state}, ${shown < 0 ? 'which was never sent' : 'as it was before'}`)
      if (this.#remarked.has(key) && state && remark !== key) wrong.push(`${key} has lost its remark`)
      this.#shown.set(key, Math.max(shown, 0))
    }
    if (wrong.length > 0) throw new Error(wrong.join('\n'))
    await this.#sql(`update delivered set remark = id where remark is null and id <> '${localKey}'`)
    this.#remarked = new Set(there.keys())
  }

  /** Without the receiver's own. */
  #rows(): Promise<(string | null)[][]> {
    const shown = (column: (typeof fields)[number]) =>
      column === 'due' && this.#engine.shown ? this.#engine.shown(column, 'date') : column
    return this.#sql(`select id, remark, ${fields.map(shown).join(', ')} from delivered where id <> '${localKey}'`)
  }

  async removeReasons(): Promise<void> {
    const { rules } = this.#source
    const ended = this.#engine.dropCheck?.('delivered', 'wanted') ?? ['alter table delivered drop constraint wanted']
    if (rules.check) for (const statement of ended) await this.#sql(statement)
    if (rules.trigger !== 'none') await this.#engine.dropTriggers(this.#filling.test, 'delivered')
    await this.#sql(`delete from delivered where id = '${localKey}'`)
    for (const owner of owners.slice(1)) await this.#sql(`insert into owners values ('${owner}')`)
  }

  async equal(): Promise<void> {
    const listed = await this.#filling.database.quarantine(sink.route, 1000)
    if (listed.length === 0) return
    const shown = listed.slice(0, 5).map(({ key, reason }) => `${key.join()}: ${JSON.stringify(reason)}`)
    throw new Error(`${listed.length} keys stay in quarantine without a reason: ${shown.join('; ')}`)
  }
}
