/** A folder in a database's place (agent/database.ts): files put into it are sources, files written into it are sinks. */
import { QianzhiError } from '../../protocol/errors.ts'
import type {
  Capture,
  Check,
  ColumnDescription,
  Database,
  DatabaseOptions,
  Delivery,
  FolderSettings,
  PreviewRequest,
  QuarantinedKey,
  Reading,
  Row,
  Rows,
  SinkTable,
  SourceTable,
  TableListing,
} from '../database.ts'
import { FileSource } from './files/source.ts'
import { FolderCapture } from './capture.ts'
import { openFolderDelivery } from './delivery.ts'
import { folderChecks } from './doctor.ts'
import { claimFolder } from './store/owner.ts'
import { listQuarantine } from './quarantine.ts'
import { FolderReading } from './reading.ts'
import { RowSource } from './rows/source.ts'

export async function openFolder(options: DatabaseOptions): Promise<Database> {
  return new FolderDatabase(options)
}

class FolderDatabase implements Database {
  readonly options: DatabaseOptions
  readonly #folder: FolderSettings

  constructor(options: DatabaseOptions) {
    this.options = options
    this.#folder = options.folder!
  }

  async openCapture(sources: readonly SourceTable[]): Promise<Capture> {
    await claimFolder(this.#folder)
    return new FolderCapture(this.#folder, sources, (source, options) =>
      source.files!.contents === 'any' ? new FileSource(source, options) : new RowSource(source, options),
    )
  }

  async openReading(): Promise<Reading> {
    return new FolderReading(this.#folder)
  }

  async openDelivery(_sinks: readonly SinkTable[]): Promise<Delivery> {
    await claimFolder(this.#folder)
    return openFolderDelivery(this.#folder)
  }

  async describe(table: string): Promise<ColumnDescription[]> {
    throw new QianzhiError('QZ-SOURCE-TABLE', { table, reason: { zh: '目录没有列', en: 'a folder has no columns' } })
  }

  async unreadable(): Promise<undefined> {
    return undefined
  }

  async tables(_limit: number): Promise<TableListing[]> {
    return []
  }

  async sample(_table: string, _columns: readonly string[], _rows: number): Promise<Row[]> {
    return []
  }

  async previewRows(source: SourceTable, { rows, filter }: PreviewRequest): Promise<Rows> {
    const reading = new FolderReading(this.#folder)
    try {
      return await reading.rowsLike(source, { rows, filter })
    } finally {
      await reading.close()
    }
  }

  /** Nothing is made in a folder beforehand. */
  async supplyTable(_source: SourceTable): Promise<string[]> {
    return []
  }

  async setupScript(_source: SourceTable): Promise<string[]> {
    return []
  }

  async teardownScript(_source: SourceTable): Promise<string[]> {
    return []
  }

  async rightsScript(): Promise<string[]> {
    return []
  }

  async run(_statements: readonly string[]): Promise<void> {}

  async quarantine(name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
    return listQuarantine(this.#folder, name, limit)
  }

  async doctor(sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
    return folderChecks(this.#folder, sources, sinks)
  }

  async close(): Promise<void> {}
}
