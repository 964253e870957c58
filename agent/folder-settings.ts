import type { Logger } from 'pino'
import type { FileCounts } from '../protocol/api.ts'

export type { FileCounts } from '../protocol/api.ts'

/** What the contract of a database engine (database.ts) says of folders. */

/** How rows stand in a file. */
export interface FileFormat {
  /** Without it by the file's name: .csv and .txt, .jsonl and .ndjson, .xlsx. */
  kind?: 'csv' | 'jsonl' | 'excel'
  /** CSV and JSON lines. Read: without it UTF-8 where all of the file is, else GB18030. Written: UTF-8 without it (CSV with a byte order mark). */
  encoding?: 'utf-8' | 'gb18030'
  /** CSV. Read: without it the one of `,` `;` tab `|` that the header holds most of. Written: `,` without it. */
  separator?: string
  /** Excel: the sheet's name; the first visible one without it. */
  sheet?: string
  /** What an empty cell says of a text item: null (without it), or the empty text. Of every other item it is null. */
  empty?: 'null' | 'text'
  /** Read, of tables: marks that other programs write (`\N`, `="000123"`, a tab behind digits, 0x1A at the end) are faults (without it), or taken for what they mean. */
  marks?: 'refuse' | 'take'
  /** Read, of Excel: bytes that a file may unpack to, however well they are packed; without it 4 GiB, and 512 MiB where they are packed by more than 100 to 1. */
  unpackedLimit?: number
  /** IANA name of the zone in which times without one are meant, and written. */
  timezone: string
}

/** What a source's files are. */
export interface SourceFiles {
  /** `rows`: each file holds rows of the resource; `any`: each file is itself what travels (protocol/files.ts). */
  contents: 'rows' | 'any'
  /** Pattern of their names with `*` and `?`. */
  names: string
  /** Each file is the whole table: what it lacks is deleted. Else it holds rows that are new or changed. */
  whole: boolean
  /** A file with bad rows: none of it is taken, or its good rows are and the others set aside. */
  faults: 'refuse' | 'accept'
  /** A file whose time is older than that of one taken before: refused (without it), or taken. */
  older?: 'refuse' | 'take'
  format: FileFormat
}

/** What a sink writes into its folder. */
export interface SinkFiles {
  /** `rows`: files of rows; `any`: the files that the rows are parts of; `batches`: the signed batches themselves, for a one-way gap. */
  contents: 'rows' | 'any' | 'batches'
  /** The whole table anew after changes, or a file of each while's changes. */
  write: 'whole' | 'increments'
  /** Seconds after a change in which further changes are gathered before a file is written. */
  gather: number
  /** How columns are called: by their items' labels, or as they would be in a table. */
  headers: 'labels' | 'names'
  /** Texts that a spreadsheet would take for formulas: kept as they are, or written with an apostrophe before them. */
  formulas: 'keep' | 'escape'
  format: FileFormat
  /** Exactly of `batches`. */
  copies?: GapCopyRules
}

/** How long copies are kept of batches that went into a one-way gap and that the inside has not confirmed. */
export interface GapCopyRules {
  days: number
  /** Of one route. */
  bytes: number
}

/** A folder in a database's place. */
export interface FolderSettings {
  /** Absolute. */
  path: string
  /** The agent's data folder, for what is remembered of the folder. */
  data: string
  /** The agent that works here: no second one may. */
  agent: string
  /** A file is complete when its size and time have not changed for `stable` seconds, or when `NAME.done` lies beside it. */
  ready: 'stable' | 'done'
  stable: number
  /** Seconds between looks through the whole folder: shares lose the events that wake the agent at once. */
  look: number
  /** Signs what is written into files: a compact JWS of this type (protocol/signature.ts). */
  sign: (typ: 'qz-file', payload: object) => string
  /** Takes what became of a source's files. */
  note?: (resource: string, files: FileCounts) => void
  logger: Logger
}
