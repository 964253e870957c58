/** OpenAPI 3.1 of one resource as one grant shows it: every parameter typed, an example of each answer. */
import { defaultLimit, isSearchable, maxLimit, operatorsOf, type Operator } from '../sharing/filters.ts'
import type { Share, SharedItem } from '../sharing/share.ts'
import type { Union } from '../sharing/unions.ts'
import { maxChecked } from '../sharing/checks.ts'
import { dataPath, tokenPath } from '../sharing/tokens.ts'

/** Values are texts: no digit of a number is lost on the way. */
const forms: Partial<Record<SharedItem['type'], object>> = {
  integer: { pattern: '^-?(0|[1-9][0-9]*)$' },
  decimal: { pattern: String.raw`^-?[0-9]+(\.[0-9]+)?$` },
  boolean: { enum: ['true', 'false'] },
  date: { format: 'date' },
  timestamp: { pattern: String.raw`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$` },
  timestamptz: { format: 'date-time' },
  time: { pattern: String.raw`^[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$` },
  binary: { contentEncoding: 'base64' },
  json: { contentMediaType: 'application/json' },
}
const examples: Partial<Record<SharedItem['type'], string>> = {
  integer: '42',
  decimal: '12.50',
  boolean: 'true',
  date: '2026-11-22',
  timestamp: '2026-11-22T08:30:00',
  timestamptz: '2026-11-22T00:30:00Z',
  time: '08:30:00',
  binary: 'AAEC',
  json: '{}',
}

function exampleOf(item: SharedItem): string {
  return item.example ?? item.dictionary?.[0]?.value ?? examples[item.type] ?? '文本'.slice(0, item.length ?? 2)
}

function valueSchema(item: SharedItem): Record<string, unknown> {
  const { type, length, dictionary, mask } = item
  if (mask) return { type: 'string' }
  return {
    type: 'string',
    ...forms[type],
    ...(length !== undefined && { maxLength: length }),
    ...(dictionary && { enum: dictionary.map(({ value }) => value) }),
  }
}

function itemSchema(item: SharedItem): Record<string, unknown> {
  const parts = [item.label, item.description, ...(item.mask ? ['已脱敏 masked'] : [])]
  const described = parts.filter((part) => part !== undefined).join('：')
  const form = valueSchema(item)
  return { ...form, type: item.key || (item.required && !item.mask) ? 'string' : ['string', 'null'], description: described }
}

interface Parameter {
  name: string
  in: 'query' | 'header'
  required?: boolean
  description?: string
  schema: object
  example?: string
}

const words: Record<Operator, string> = {
  eq: '等于 equal',
  ne: '不等于 not equal',
  gt: '大于 greater',
  ge: '大于等于 at least',
  lt: '小于 less',
  le: '小于等于 at most',
  in: '其中之一，以逗号分隔 one of, with commas',
  like: '以此开头，如 张* begins with',
  null: '为空 has no value',
}

function filterParameters(item: SharedItem): Parameter[] {
  if (!isSearchable(item)) return []
  return operatorsOf(item.type).flatMap((operator): Parameter[] => {
    const schema =
      operator === 'null'
        ? { type: 'string', enum: ['true', 'false'] }
        : operator === 'in' || operator === 'like'
          ? { type: 'string' }
          : valueSchema(item)
    const described = { in: 'query' as const, description: `${item.label} ${words[operator]}`, schema }
    return [...(operator === 'eq' ? [{ ...described, name: item.id }] : []), { ...described, name: `${item.id}.${operator}` }]
  })
}

function keyParameter(item: SharedItem): Parameter {
  return { name: item.id, in: 'query', required: true, description: item.label, schema: valueSchema(item), example: exampleOf(item) }
}

export function describeResource(share: Share, address: string): object {
  const { resource, title, agencyName, items, table } = share
  const source = { agency: share.agency, agencyName, title, asOf: '2026-11-22T00:30:00.000Z' }
  return describe({ path: resource, title, version: String(table.version), from: agencyName, items, told: { source } }, address)
}

/** All adopters of a standard as a client's grants show them: what one of them masks or lacks may be null. */
export function describeStandard({ standard, title, items, members }: Union, address: string): object {
  const shown = items.map((item): SharedItem => {
    if (item.key) return item
    const masked = members.some((member) => member.items.get(item.id)?.mask)
    return { ...item, required: false, ...(masked && { mask: (value) => value }) }
  })
  const sources = members.map(({ share: { agency, agencyName, resource, title: called }, absent }) => {
    return { agency, agencyName, resource, title: called, asOf: '2026-11-22T00:30:00.000Z', absent }
  })
  const version = members.map(({ source, share }) => `${source} ${share.table.version}`).join(', ')
  const from = members.map(({ share }) => share.agencyName).join('、')
  const path = `standards/${standard}`
  return describe({ path, title, version, from, items: shown, told: { sources, leftOut: [] } }, address)
}

interface Described {
  /** Below the data API's path. */
  path: string
  title: string
  version: string
  /** Names of the agencies whose data it is. */
  from: string
  items: readonly SharedItem[]
  /** What every answer says of where it is from: of one resource, or of all that make up a standard. */
  told: { source: object } | { sources: readonly object[]; leftOut: string[] }
}

function describe({ path: resource, title, version, from, items, told }: Described, address: string): object {
  const keys = items.filter(({ key }) => key)
  const searchable = items.filter(isSearchable)
  const sorts = searchable.flatMap(({ id }) => [id, `-${id}`])
  const example = Object.fromEntries(items.map((item) => [item.id, exampleOf(item)]))
  const keyExample = Object.fromEntries(keys.map((item) => [item.id, exampleOf(item)]))
  const source = 'source' in told ? told.source : told.sources[0]
  const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
  const many = 'sources' in told
  const whence: Record<string, object> = many
    ? { sources: { type: 'array', items: ref('Source') }, leftOut: { type: 'array', items: { type: 'string' } } }
    : { source: ref('Source') }
  const answer = (description: string, schema: object, shown: object, more: object = {}) => ({
    description,
    content: { 'application/json': { schema, example: shown }, ...more },
  })
  const refusals = Object.fromEntries(
    [400, 401, 403, 404, 429].map((status) => [
      status,
      { description: 'RFC 9457', content: { 'application/problem+json': { schema: ref('Problem') } } },
    ]),
  )
  const select: Parameter = {
    name: 'select',
    in: 'query',
    description: '只要这些信息项，以逗号分隔 only these items, with commas',
    schema: { type: 'string' },
  }
  const ifNoneMatch: Parameter = { name: 'If-None-Match', in: 'header', schema: { type: 'string' } }
  const object = (properties: Record<string, object>, required = Object.keys(properties)) => ({ type: 'object', properties, required })
  return {
    openapi: '3.1.0',
    info: { title, version, description: `来源 source: ${from}` },
    servers: [{ url: `${address}${dataPath}` }],
    security: [{ oauth: [] }],
    paths: {
      [`/${resource}`]: {
        get: {
          operationId: 'listRows',
          summary: '查询行 rows',
          parameters: [
            ...items.flatMap(filterParameters),
            select,
            { name: 'sort', in: 'query', description: '排序 order', schema: { type: 'string', enum: sorts } },
            { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: maxLimit, default: defaultLimit } },
            { name: 'after', in: 'query', description: '上一页的 next the next of the page before', schema: { type: 'string' } },
            { name: 'count', in: 'query', schema: { type: 'string', enum: ['none', 'estimated', 'exact'] } },
            ifNoneMatch,
          ],
          responses: {
            200: answer(
              '一页 a page',
              ref('Page'),
              { items: [example], next: null, ...told },
              {
                'text/csv': { schema: { type: 'string' } },
                'application/x-ndjson': { schema: { type: 'string' } },
              },
            ),
            304: { description: '没有变化 not changed' },
            ...refusals,
          },
        },
      },
      [`/${resource}/by-key`]: {
        get: {
          operationId: 'readRow',
          summary: '按主键取一行 one row by its key',
          parameters: [...keys.map(keyParameter), select, ifNoneMatch],
          responses: {
            200: answer('这一行 the row', ref('Found'), {
              item: example,
              position: '3600000/12',
              received: '2026-11-22T00:30:00Z',
              source,
            }),
            304: { description: '没有变化 not changed' },
            ...refusals,
          },
        },
      },
      [`/${resource}/changes`]: {
        get: {
          operationId: 'readChanges',
          summary: '某位置以来的变更 changes since a place',
          parameters: [
            {
              name: 'after',
              in: 'query',
              description: '上次的 next；不写则从头 the next of the answer before; left out: from the beginning',
              schema: { type: 'string' },
            },
            { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 10_000, default: 1000 } },
            select,
          ],
          responses: {
            200: answer('变更 changes', ref('Changes'), {
              changes: [
                { op: 'upsert', item: example },
                { op: 'delete', item: keyExample },
              ],
              next: '3600000.12.2.pXk1Qd0aTz3-',
              complete: true,
              ...told,
            }),
            410: {
              description: '不能接续，请清空后重新开始 cannot be continued: begin again',
              content: { 'application/problem+json': { schema: ref('Problem') } },
            },
            ...refusals,
          },
        },
      },
      [`/${resource}/proof`]: {
        get: {
          operationId: 'readProof',
          summary: '某行所在的、由提供单位签名的批次 the signed batch that a row came in',
          parameters: [
            ...keys.filter(({ id }) => many && id === items[0]?.id).map(keyParameter),
            {
              name: 'position',
              in: 'query',
              required: true,
              description: 'by-key 给出的 position the position that by-key gave',
              schema: { type: 'string', pattern: '^[1-9][0-9]*/[1-9][0-9]*$' },
              example: '3600000/12',
            },
          ],
          responses: {
            200: {
              description: '批次，内含所授权、未脱敏的信息项 the batch, with the items that are granted and not masked',
              content: {
                'application/vnd.qianzhi.batch': { schema: { type: 'string', contentMediaType: 'application/vnd.qianzhi.batch' } },
              },
            },
            ...refusals,
          },
        },
      },
      [`/${resource}/check`]: {
        post: {
          operationId: 'checkRows',
          summary: '批量核验 check values',
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: object({ rows: { type: 'array', minItems: 1, maxItems: maxChecked, items: ref('Row') } }),
                example: { rows: [example] },
              },
            },
          },
          responses: {
            200: answer('结果 results', ref('Checked'), { items: [{ found: true, items: {} }], ...told }),
            ...refusals,
          },
        },
      },
    },
    components: {
      securitySchemes: { oauth: { type: 'oauth2', flows: { clientCredentials: { tokenUrl: `${address}${tokenPath}`, scopes: {} } } } },
      schemas: {
        Row: { type: 'object', properties: Object.fromEntries(items.map((item) => [item.id, itemSchema(item)])) },
        Source: object({
          agency: { type: 'string' },
          agencyName: { type: 'string' },
          ...(many && { resource: { type: 'string' } }),
          title: { type: 'string' },
          asOf: { type: 'string', format: 'date-time' },
          ...(many && { absent: { type: 'array', items: { type: 'string' } } }),
        }),
        Page: object(
          {
            items: { type: 'array', items: ref('Row') },
            next: { type: ['string', 'null'] },
            count: object({ rows: { type: 'integer' }, exact: { type: 'boolean' } }),
            ...whence,
          },
          ['items', 'next', ...Object.keys(whence)],
        ),
        Found: object({ item: ref('Row'), position: { type: 'string' }, received: { type: 'string' }, source: ref('Source') }),
        Changes: object({
          changes: { type: 'array', items: object({ op: { type: 'string', enum: ['upsert', 'delete'] }, item: ref('Row') }) },
          next: { type: 'string' },
          complete: { type: 'boolean' },
          ...whence,
        }),
        Checked: object({
          items: {
            type: 'array',
            items: object({
              found: { type: 'boolean' },
              items: { type: 'object', additionalProperties: { type: 'string', enum: ['equal', 'different'] } },
            }),
          },
          ...whence,
        }),
        Problem: object({ code: { type: 'string' }, detail: object({ zh: { type: 'string' }, en: { type: 'string' } }) }),
      },
    },
  }
}
