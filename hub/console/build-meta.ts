/**
 * What the console knows of the API, taken from the hub's own tables when it is built: operations with their words and shapes, states of the
 * workflows, and roles. Nothing of it is written twice.
 */
import type { TObject, TSchema } from 'typebox'
import { rights, type OperationName } from '../access/rights.ts'
import { fieldWords } from '../http/field-words.ts'
import { operationWords } from '../http/operation-words.ts'
import { vocabulary } from '../http/vocabulary.ts'
import { operations } from '../operations/index.ts'
import type { Operation } from '../operations/operation.ts'
import { workflows } from '../registry/workflows.ts'
import type { Field, Meta, OperationMeta, WorkflowsMeta } from './meta-shape.ts'

export function consoleMeta(): Meta {
  return {
    operations: Object.fromEntries(operations.map((operation) => [operation.name, describe(operation)])),
    ...vocabulary,
  }
}

/** The workflows' tables, for the manual. */
export function consoleWorkflows(): WorkflowsMeta {
  return Object.fromEntries(
    workflows.map(({ name, events }) => [
      name,
      Object.entries(events).flatMap(([event, transitions]) =>
        transitions.map(({ from, to, by }) => {
          const able = Object.keys(rights[`${name}.${event}` as OperationName])
          const text = operations.find((one) => one.name === `${name}.${event}`)?.text ?? operationWords.get(`${name}.${event}`)!
          const end = { zh: /[\uff1a\uff0c\uff08]/, en: /[:,(]/ }
          const verb = { zh: text.zh.split(end.zh)[0]!, en: text.en.split(end.en)[0]!.trim() }
          return { text: verb, from, to, by: by ? able.filter((role) => by.includes(role as never)) : able }
        }),
      ),
    ]),
  )
}

function describe(operation: Operation): OperationMeta {
  const { name, method, path, text, objectKind, query, body, upload, decides } = operation
  return {
    method,
    path,
    text,
    ...(objectKind && { kind: objectKind }),
    ...(decides && { decides }),
    ...(upload && { upload: upload.type }),
    ...(query && { query: fieldsOf(name, query) }),
    ...(isObject(body) && { body: fieldsOf(name, body) }),
  }
}

type Plain = Record<string, any>

function isObject(shape: TSchema | undefined): shape is TObject {
  return shape !== undefined && typeof (shape as Plain)['properties'] === 'object'
}

function fieldsOf(operation: string, shape: TObject, within?: string): Field[] {
  const required = new Set((shape as Plain)['required'] as string[] | undefined)
  return Object.entries(shape.properties as Record<string, Plain>).map(([name, part]) => ({
    name,
    text: fieldWords(operation, name, within) ?? { zh: name, en: name },
    required: required.has(name),
    ...kindOf(operation, name, part),
  }))
}

/** How a value is put in. */
function kindOf(operation: string, name: string, part: Plain): Pick<Field, 'input'> & Partial<Field> {
  const [only = part, ...others] = ((part['anyOf'] as Plain[] | undefined) ?? []).filter(({ type }) => type !== 'null')
  const shape = others.length > 0 ? part : only
  if (shape['enum']) return { input: 'choice', choices: (shape['enum'] as unknown[]).map(String) }
  if (shape['type'] === 'boolean') return { input: 'yes-no' }
  if (shape['type'] === 'integer' || shape['type'] === 'number') return { input: 'number', least: shape['minimum'], most: shape['maximum'] }
  if (shape['type'] === 'array') return listOf(operation, name, shape['items'])
  if (isObject(shape)) return { input: 'group', fields: fieldsOf(operation, shape, name) }
  if (shape['type'] !== 'string') return { input: 'other' }
  // One of them, or several with commas between.
  if (shape['examples']) return { input: 'choices', choices: shape['examples'] as string[] }
  if (/\\d\{4\}-/.test(String(shape['pattern'] ?? ''))) return { input: 'day' }
  return { input: (shape['maxLength'] ?? 0) > 200 ? 'long-text' : 'text', longest: shape['maxLength'] }
}

function listOf(operation: string, name: string, line: Plain): Pick<Field, 'input'> & Partial<Field> {
  if (line['enum']) return { input: 'choices', choices: (line['enum'] as unknown[]).map(String) }
  if (isObject(line)) return { input: 'rows', fields: fieldsOf(operation, line, name) }
  return { input: line['type'] === 'string' ? 'texts' : 'other' }
}
