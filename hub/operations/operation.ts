import type { Readable } from 'node:stream'
import type { Static, TObject, TSchema } from 'typebox'
import type { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Principal } from '../access/principal.ts'
import type { ObjectKind } from '../access/relations.ts'
import type { OperationName } from '../access/rights.ts'
import type { Registry } from '../records/registry.ts'
import type { Services } from './services.ts'

/** One call of an operation by somebody who may do it. */
export interface Call<P = unknown, Q = unknown, B = unknown> {
  registry: Registry
  services: Services
  principal: Principal
  /** What to restrict lists to, and what new things belong to: the caller's agency; null where the caller's reach is any. */
  agencyScope: string | null
  params: P
  query: Q
  body: B
  /** The revision that the caller saw of the object (`If-Match`). */
  seen: string | undefined
  /** An error as the API tells it to the caller: operations by their words. */
  told: (error: QianzhiError) => LocalizedText
  /** Aborts when the caller has hung up. */
  signal: AbortSignal
}

/** A file as an answer. */
export class FileAnswer {
  readonly name: string
  readonly type: string
  readonly content: Buffer | string | Readable

  constructor(name: string, type: string, content: Buffer | string | Readable) {
    this.name = name
    this.type = type
    this.content = content
  }
}

export const csvType = 'text/csv'
export const excelType = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'

/**
 * One operation of the registry's API: everything that the server, its documentation and the sweep of all doors need. Who may call it
 * stands in access/rights.ts under its name, nowhere else.
 */
export interface Operation {
  name: OperationName
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below /api/v1, with `:id` for the object where `about` says of which kind it is. */
  path: string
  text: LocalizedText
  objectKind?: ObjectKind
  params?: TObject
  query?: TObject
  body?: TSchema
  /** An upload: the body is these bytes, of this media type, or CSV where that is taken, too; `streamed`: a stream of them, whose limit whoever reads it keeps. */
  upload?: { type: string; csv?: true; limit: number; streamed?: boolean }
  answer?: TSchema
  /** The member of its answer that holds rows of a resource: data, in which no names are put beside codes. */
  rows?: 'items' | 'item'
  /** The caller must say which revision of the object they saw. */
  decides?: boolean
  /** A body that the API takes, for the documentation. */
  example?: unknown
  run(call: Call): Promise<unknown>
}

/** The media types of an upload. */
export function uploadTypes({ type, csv }: NonNullable<Operation['upload']>): string[] {
  return csv ? [type, csvType] : [type]
}

interface Spec<P extends TObject, Q extends TObject, B extends TSchema> extends Omit<Operation, 'params' | 'query' | 'body' | 'run'> {
  params?: P
  query?: Q
  body?: B
  run(call: Call<Static<P>, Static<Q>, Static<B>>): Promise<unknown>
}

/** Types `run` by the shapes beside it. */
export function operation<P extends TObject, Q extends TObject, B extends TSchema>(spec: Spec<P, Q, B>): Operation {
  return spec
}
