/** A folder that rows are delivered into, batches for it, and readers of what was written that share nothing with the writers. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import type { Test } from 'tap'
import type { Applied, Change, Delivery, FolderSettings, Part, Row, SinkFiles, SinkTable } from '../../../../agent/database.ts'
import { openFolderDelivery } from '../../../../agent/folders/delivery.ts'
import { claimFolder } from '../../../../agent/folders/store/owner.ts'
import { buildBatch } from '../../../../protocol/batch.ts'
import { readWorkbook } from '../../../../protocol/excel/read.ts'
import type { FileManifest } from '../../../../protocol/file-manifest.ts'
import type { ChainPosition } from '../../../../protocol/position.ts'
import type { Schema } from '../../../../protocol/schema.ts'
import { generateSigningKey, signStatement, type SigningKey } from '../../../../protocol/signature.ts'
import { until } from '../../../support/programs.ts'
import { licence, sinkOf } from '../../databases/conformance/fixture.ts'

export const agentKey = generateSigningKey()
export const providerKey = generateSigningKey()

export function fileSink(schema: Schema = licence, files: Partial<SinkFiles> = {}, changes: Partial<SinkTable> = {}): SinkTable {
  const format = { timezone: 'Asia/Shanghai', ...files.format }
  const given: SinkFiles = { contents: 'rows', write: 'whole', gather: 0, headers: 'names', formulas: 'keep', ...files, format }
  return sinkOf(schema, { ...changes, files: given })
}

export function folderSettings(base: string, key: SigningKey = agentKey): FolderSettings {
  return {
    path: join(base, 'out'),
    data: join(base, 'data'),
    agent: 'receiver-1',
    ready: 'stable',
    stable: 1,
    look: 60,
    sign: (typ, payload) => signStatement(key, typ, payload),
    logger: pino({ level: 'silent' }),
  }
}

export function freshFolder(t: Test): FolderSettings {
  const base = mkdtempSync(join(tmpdir(), 'qianzhi-sink-'))
  t.teardown(() => rmSync(base, { recursive: true, force: true }))
  return folderSettings(base)
}

export interface Filled {
  folder: FolderSettings
  delivery: Delivery
}

export async function openDelivery(t: Test, folder: FolderSettings = freshFolder(t)): Promise<Filled> {
  mkdirSync(folder.path, { recursive: true })
  await claimFolder(folder)
  const delivery = await openFolderDelivery(folder)
  t.teardown(() => delivery.close())
  return { folder, delivery }
}

export async function filled(t: Test, sink: SinkTable): Promise<Filled> {
  const opened = await openDelivery(t)
  await opened.delivery.open(sink)
  return opened
}

/** The provider's stream: each batch follows the one before, and is signed. */
export class Stream {
  position: ChainPosition | null
  readonly #schema: Schema
  readonly #began: number

  constructor(schema: Schema = licence, epoch = 1) {
    this.#schema = schema
    this.#began = epoch
    this.position = null
  }

  next(of: Row[], { ops, snapshot }: { ops?: Change['ops']; snapshot?: 'first' | 'last' | 'only' | 'goes on' } = {}): Change {
    const from = this.position
    const [epoch, seq] = [this.#began, (from?.seq ?? 0) + 1]
    if (snapshot === 'first' || snapshot === 'only') this.#snapshot = seq
    const { bytes, hash, manifest } = buildBatch(
      {
        resource: this.#schema.resource,
        schema: this.#schema.version,
        producer: 'provider-1',
        epoch,
        seq,
        prev: from?.hash ?? null,
        kind: snapshot ? 'snapshot' : 'changes',
        ...(snapshot && { snapshot: { began: this.#snapshot, last: snapshot === 'last' || snapshot === 'only' } }),
        time: '2026-11-22T00:00:00Z',
      },
      this.#schema.items.map((item, i) => ({ item: item.id, values: of.map((row) => row[i]!) })),
      providerKey,
    )
    this.position = { epoch, seq, hash }
    const columns = this.#schema.items.map((_, i) => of.map((row) => row[i]!))
    const jws = bytes.toString('latin1', 8, 8 + bytes.readUInt32BE(4))
    return {
      from,
      to: this.position,
      rows: of.length,
      columns,
      bytes,
      manifest: jws,
      ...(ops && { ops }),
      ...(manifest.snapshot && { snapshot: { began: { epoch, seq: manifest.snapshot.began }, last: manifest.snapshot.last } }),
    }
  }

  #snapshot = 1
}

export function apply({ delivery }: Pick<Filled, 'delivery'>, sink: SinkTable, change: Change, part: Part = 'live'): Promise<Applied> {
  return delivery.apply(sink, part, delivery.prepare(sink, change))
}

/** The newest manifest of a file once it says what is expected of it. */
export function manifestWhen(
  { folder }: Pick<Filled, 'folder'>,
  file: string,
  expected: (manifest: FileManifest) => boolean = () => true,
): Promise<FileManifest> {
  return until(
    `${file} as expected`,
    () => {
      const manifest = manifestOf(folder, file)
      return manifest && expected(manifest) && manifest
    },
    20,
  )
}

export function manifestOf({ path }: Pick<FolderSettings, 'path'>, file: string): FileManifest | undefined {
  const name = join(path, `${file}.manifest.json`)
  if (!existsSync(name)) return undefined
  return (JSON.parse(readFileSync(name, 'utf8')) as { manifest: FileManifest }).manifest
}

export function filesIn({ path }: Pick<FolderSettings, 'path'>): string[] {
  return readdirSync(path)
    .filter((name) => name !== '.qianzhi.json')
    .toSorted()
}

export function sha256Of({ path }: Pick<FolderSettings, 'path'>, file: string): string {
  return createHash('sha256')
    .update(readFileSync(join(path, file)))
    .digest('hex')
}

/** Rows of a written file, header first; empty cells are null. */
export async function readRows(
  { path }: Pick<FolderSettings, 'path'>,
  file: string,
  encoding = 'utf-8',
  separator = ',',
): Promise<(string | null)[][]> {
  const bytes = readFileSync(join(path, file))
  if (file.endsWith('.xlsx')) return readExcel(bytes)
  const text = new TextDecoder(encoding, { fatal: true }).decode(bytes)
  if (file.endsWith('.csv')) return readCsv(text, separator)
  const lines = text.split('\n').filter((line) => line !== '')
  const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const header = Object.keys(objects[0] ?? {})
  return [
    header,
    ...objects.map((object) =>
      header.map((name) => (object[name] === null ? null : typeof object[name] === 'string' ? object[name] : JSON.stringify(object[name]))),
    ),
  ]
}

/** RFC 4180, where what is not quoted may be null. */
function readCsv(text: string, separator: string): (string | null)[][] {
  const rows: (string | null)[][] = []
  let row: (string | null)[] = []
  for (let at = 0; at < text.length;) {
    let value: string | null
    if (text[at] === '"') {
      let end = at + 1
      while (text[end] !== '"' || text[end + 1] === '"') end += text[end] === '"' ? 2 : 1
      value = text.slice(at + 1, end).replaceAll('""', '"')
      at = end + 1
    } else {
      const end = text.slice(at).search(separator === '|' ? /[|\r]/ : new RegExp(`[${separator}\r]`)) + at
      value = text.slice(at, end) || null
      at = end
    }
    row.push(value)
    if (text[at] === separator) at++
    else {
      rows.push(row)
      row = []
      if (text.slice(at, at + 2) !== '\r\n') throw new Error(`no line end at ${at}`)
      at += 2
    }
  }
  return rows
}

async function readExcel(bytes: Buffer): Promise<(string | null)[][]> {
  const book = await readWorkbook(bytes, { formulas: 'refuse' })
  const rows: (string | null)[][] = []
  for (const [i, sheet] of book.sheets.entries()) {
    const found: (string | null)[][] = []
    for await (const row of sheet.rows()) found.push([...row.cells])
    rows.push(...found.slice(i === 0 ? 0 : 1))
  }
  book.close()
  const width = Math.max(...rows.map((row) => row.length))
  return rows.map((row) => Array.from({ length: width }, (_, i) => row[i] ?? null))
}
