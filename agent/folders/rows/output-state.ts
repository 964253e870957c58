/**
 * What a route's store remembers of the files written from it: what the next one will hold, and the one that is being written. A file gets its
 * number, and the state of the rows that it will hold, in one transaction; what it became is noted before anybody can see it. So a stop at
 * any moment leaves nothing out, and never gives one number to two contents that were to be seen.
 */
import type { ChainPosition } from '../../../protocol/position.ts'
import type { FileManifest } from '../../../protocol/file-manifest.ts'
import type { Change, Part, SinkTable } from '../../database.ts'
import type { SinkStore } from '../store/sink-store.ts'

const tables = `
  create table if not exists change (
    number integer not null, key blob not null, op text not null, row text not null, primary key (number, key)) without rowid;
  create table if not exists statement (
    generation integer not null, epoch integer not null, seq integer not null, jws text not null, primary key (generation, epoch, seq)) without rowid;
  create table if not exists output (
    one integer primary key check (one = 1), number integer not null default 0, sha256 text, reached text, batches integer not null default 0,
    changed integer, whole integer not null default 1, form text not null default '', making text);
  insert or ignore into output (one) values (1);
  create table if not exists shown (file text primary key, content text not null)`

/** The provider's statements that are kept for a file: beyond, the first ones and the newest. */
const maxStatements = 1_000

/** A file that has its number. */
export interface Making {
  number: number
  kind: FileManifest['kind']
  from: ChainPosition | null
  to: ChainPosition
  batches: number
  /** ISO. */
  time: string
  /** Manifests of batches for the file's own (protocol/file-manifest.ts): later ones take their places in the store while it is written. */
  provider: readonly string[]
  /** Once it lies on the disk under its temporary name: from then on it may have been seen. */
  manifest?: FileManifest
  /** Nothing lay at its name when it was written: it replaces nothing. */
  fresh?: boolean
}

interface Output {
  /** Last number given. */
  number: number
  /** Of the last file finished, and the position that it reached. */
  sha256: string | null
  reached: ChainPosition | null
  /** Applied since then. */
  batches: number
  /** Milliseconds since 1970 of the first change that no file holds. */
  changed: number | null
  /** The next file holds all rows. */
  whole: boolean
  making: Making | null
}

export class OutputState {
  readonly #store: SinkStore
  readonly #increments: boolean
  /** Number under which changes are noted; undefined where the next file holds all rows. */
  #next: number | undefined
  #noted = false

  constructor(store: SinkStore, { files }: SinkTable) {
    this.#store = store
    this.#increments = files!.write === 'increments'
    store.make(tables)
    this.#renew()
  }

  read(): Output {
    const row = this.#store.get('select * from output')!
    const parse = (text: unknown): unknown => (text === null ? null : JSON.parse(text as string))
    return {
      number: Number(row['number']),
      sha256: row['sha256'] as string | null,
      reached: parse(row['reached']) as ChainPosition | null,
      batches: Number(row['batches']),
      changed: row['changed'] as number | null,
      whole: row['whole'] === 1,
      making: parse(row['making']) as Making | null,
    }
  }

  #renew(): void {
    const { number, whole } = this.read()
    this.#next = this.#increments && !whole ? number + 1 : undefined
  }

  /** Whether the live part's first snapshot has come to its end. */
  get complete(): boolean {
    return this.#store.get(`select complete from part where part = 'live'`)?.['complete'] === 1
  }

  get keepsChanges(): boolean {
    return this.#next !== undefined
  }

  /**
   * How files are written now, and the last number that the folder has. Where it is another way than before, or the folder is ahead of what
   * is remembered (a data folder that was lost, or put back), all rows are written anew.
   */
  follow(form: string, last: number): void {
    const { number } = this.read()
    const before = String(this.#store.get('select form from output')!['form'])
    if (before === form && last <= number) return
    this.#store.transaction(() => {
      this.#wholeNext()
      this.#store.run('update output set number = max(number, ?), form = ?', last, form)
    })
  }

  /** Within a transaction: no file that holds changes will be written any more, unless it may have been seen. */
  #wholeNext(): void {
    const { making } = this.read()
    this.#store.run('delete from change')
    this.#store.run('update output set whole = 1, changed = coalesce(changed, ?)', Date.now())
    if (making && !making.manifest)
      this.#store.run('update output set making = null, number = number - 1, batches = batches + ?', making.batches)
    this.#renew()
  }

  /** Within the transaction that writes the row, which ends with `settle`. */
  note(key: Uint8Array, op: 'u' | 'd', row: string): void {
    this.#noted = true
    if (this.#next !== undefined)
      this.#store.run('insert or replace into change (number, key, op, row) values (?, ?, ?, ?)', this.#next, key, op, row)
  }

  /** Within the transaction, at its end: whether there is something to write. */
  settle(): void {
    if (this.#noted) this.#store.run('update output set changed = ? where changed is null', Date.now())
    this.#noted = false
  }

  /** Within the transaction that applies a batch: of a shadow only the newest statement is kept. */
  applied(part: Part, { to, manifest }: Change): void {
    const live = part === 'live'
    if (live) this.#store.run('update output set batches = batches + 1')
    if (manifest !== undefined)
      this.#keepStatement(this.#store.generation(part), to, manifest, live && this.#increments ? maxStatements : 1)
  }

  #keepStatement(generation: number, { epoch, seq }: ChainPosition, jws: string, kept: number): void {
    const store = this.#store
    const of = 'statement where generation = ?'
    const { count } = store.get(`select count(*) as count from ${of}`, generation) as { count: number }
    if (count >= kept)
      store.run(
        `delete from ${of} and (epoch, seq) = (select epoch, seq from ${of} order by epoch desc, seq desc limit 1)`,
        generation,
        generation,
      )
    store.run('insert or replace into statement (generation, epoch, seq, jws) values (?, ?, ?, ?)', generation, epoch, seq, jws)
  }

  /** The provider's statements that a file is made of now, oldest first; of a whole file the newest one alone. */
  #statements(kind: Making['kind'], from: ChainPosition | null): string[] {
    const after = kind === 'changes' ? from : null
    const rows = this.#store.all(
      `select jws from statement where generation = ? and (epoch, seq) > (?, ?) order by epoch desc, seq desc limit ?`,
      this.#store.generation('live'),
      after?.epoch ?? 0,
      after?.seq ?? 0,
      kind === 'whole' ? 1 : -1,
    )
    return rows.map(({ jws }) => String(jws)).toReversed()
  }

  /** Within the transaction that puts the shadow in the live part's place. */
  swapped(): void {
    this.#wholeNext()
    this.#store.run(`delete from statement where generation <> ?`, this.#store.generation('live'))
  }

  /**
   * Gives the next file its number, or goes on with the one that has it. A whole file that nobody has seen is made of the rows as they are
   * now. Undefined where there is nothing to write, or the rows are not complete.
   */
  begin(): Making | undefined {
    return this.#store.transaction(() => {
      const { making, changed, whole, number, reached, batches } = this.read()
      if (making?.manifest || making?.kind === 'changes') return making
      const to = this.#store.position
      if (!this.complete || !to || (!making && changed === null)) return undefined
      const kind = whole || making || !this.#increments ? 'whole' : 'changes'
      const next: Making = {
        number: making?.number ?? number + 1,
        kind,
        from: reached,
        to,
        batches: batches + (making?.batches ?? 0),
        time: new Date().toISOString(),
        provider: fitting(this.#statements(kind, reached)),
      }
      this.#store.run('update output set number = ?, changed = null, whole = 0, batches = 0, making = ?', next.number, JSON.stringify(next))
      if (kind === 'whole') this.#store.run('delete from change')
      this.#renew()
      return next
    })
  }

  /** It lies on the disk under its temporary name. `names`: those that it, and what belongs to it, will have. */
  made(making: Making, manifest: FileManifest, names: readonly string[]): void {
    this.#store.transaction(() => {
      this.#store.run('update output set making = ?', JSON.stringify({ ...making, manifest }))
      for (const name of names) this.#store.run('insert or ignore into written (file) values (?)', name)
    })
  }

  /**
   * What was made is nowhere any more, taken by a reader or lost: changes are written again under their number, where no whole file is to
   * come; a whole one under the next.
   */
  lost({ manifest, ...making }: Making): void {
    this.#store.transaction(() => {
      if (making.kind === 'changes' && !this.read().whole) {
        this.#store.run('update output set making = ?', JSON.stringify(making))
        return
      }
      this.#store.run('update output set making = null, sha256 = ?, batches = batches + ?', manifest!.sha256, making.batches)
      this.#wholeNext()
    })
  }

  /** The file that was written last, as it lay in the folder then (`InboxFile.content`). */
  get shown(): { file: string; content: string } | undefined {
    return this.#store.get('select file, content from shown') as { file: string; content: string } | undefined
  }

  /** It lies there otherwise, with the same bytes. */
  showsAs(file: string, content: string): void {
    this.#store.run('delete from shown where file <> ?', file)
    this.#store.run('insert or replace into shown (file, content) values (?, ?)', file, content)
  }

  /** The file is not what was written: all rows are written once more. */
  again(): void {
    this.#store.transaction(() => {
      this.#store.run('delete from shown')
      this.#wholeNext()
    })
  }

  /** Somebody else's file has the name. */
  notWritten(name: string): void {
    this.#store.run('delete from written where file = ?', name)
  }

  /** It is in its place, with its manifest. `names`: of both. */
  finished({ number, to, manifest }: Making, generation: number, names: readonly string[]): void {
    this.#store.transaction(() => {
      for (const name of names) this.#store.run('insert or ignore into written (file) values (?)', name)
      this.#store.run('update output set making = null, sha256 = ?, reached = ?', manifest!.sha256, JSON.stringify(to))
      this.#store.run('delete from change where number <= ?', number)
      this.#store.run(
        `delete from statement where generation = ? and (epoch, seq) <= (?, ?)
         and (epoch, seq) <> (select epoch, seq from statement where generation = ? order by epoch desc, seq desc limit 1)`,
        generation,
        to.epoch,
        to.seq,
        generation,
      )
    })
  }
}

/** Bytes of the provider's statements in one manifest. */
const maxStatementBytes = 256 << 10

/** The first ones and the last where they are too many together. */
function fitting(statements: readonly string[]): string[] {
  const last = statements.at(-1)
  if (last === undefined) return []
  let room = maxStatementBytes - last.length
  const first = statements.slice(0, -1)
  const end = first.findIndex((jws) => (room -= jws.length) < 0)
  return [...(end < 0 ? first : first.slice(0, end)), last]
}
