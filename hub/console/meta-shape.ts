/** What the console knows of the API: made by build-meta.ts, read by src/meta.ts. */

/** A text that people see, in both languages of the console. */
export interface Text {
  readonly zh: string
  readonly en: string
}

/** One member of a request. */
export interface Field {
  readonly name: string
  readonly text: Text
  readonly required: boolean
  readonly input: 'text' | 'long-text' | 'day' | 'number' | 'yes-no' | 'choice' | 'choices' | 'texts' | 'group' | 'rows' | 'other'
  readonly choices?: readonly string[]
  readonly longest?: number
  readonly least?: number
  readonly most?: number
  /** Of a group, or of one of its rows. */
  readonly fields?: readonly Field[]
}

export interface OperationMeta {
  readonly method: string
  /** Below /api/v1. */
  readonly path: string
  readonly text: Text
  /** The kind of object that `:id` names. */
  readonly kind?: string
  /** The caller says which revision they saw. */
  readonly decides?: boolean
  readonly upload?: string
  readonly query?: readonly Field[]
  readonly body?: readonly Field[]
}

/** What may happen to an object of a kind, line by line of its workflow's table. */
export interface EventMeta {
  readonly text: Text
  readonly from: readonly string[]
  readonly to: string
  /** Roles that have the right; `hub`: by itself. */
  readonly by: readonly string[]
}

export type WorkflowsMeta = Readonly<Record<string, readonly EventMeta[]>>

export interface Meta {
  readonly operations: Readonly<Record<string, OperationMeta>>
  /** What acts on record are called. */
  readonly acts: Readonly<Record<string, Text>>
  readonly states: Readonly<Record<string, Readonly<Record<string, Text>>>>
  readonly roles: Readonly<Record<string, Text>>
  readonly kinds: Readonly<Record<string, Text>>
  /** What the values of a catalog entry's members are called, by the member. */
  readonly values: Readonly<Record<string, Readonly<Record<string, Text>>>>
}
