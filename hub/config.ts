import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { LineCounter, parseDocument } from 'yaml'
import { readerLimits } from '../protocol/batch.ts'
import { QianzhiError, reasonOf } from '../protocol/errors.ts'

const closed = { additionalProperties: false }
const days = Type.Number({ exclusiveMinimum: 0, maximum: 3650 })

/** The configuration file as it is written; everything has a default. */
const ConfigFile = Type.Object(
  {
    data: Type.Optional(Type.String({ minLength: 1 })),
    listen: Type.Optional(
      Type.Object(
        { host: Type.Optional(Type.String({ minLength: 1 })), port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })) },
        closed,
      ),
    ),
    urls: Type.Optional(Type.Array(Type.String({ pattern: '^https://[^/]+/?$' }), { minItems: 1, maxItems: 20 })),
    store: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
    tls: Type.Optional(Type.Object({ certificate: Type.String({ minLength: 1 }), key: Type.String({ minLength: 1 }) }, closed)),
    policy: Type.Optional(Type.Object({ days: Type.Optional(days) }, closed)),
    log: Type.Optional(
      Type.Object(
        {
          retention: Type.Optional(days),
          lapse: Type.Optional(days),
          snapshotFactor: Type.Optional(Type.Number({ minimum: 0.1, maximum: 1000 })),
        },
        closed,
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          batchBytes: Type.Optional(Type.Integer({ minimum: 65536, maximum: 256 << 20 })),
          unpackedBytes: Type.Optional(Type.Integer({ minimum: 65536, maximum: 1 << 30 })),
          batchRows: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
          answerBytes: Type.Optional(Type.Integer({ minimum: 65536, maximum: 256 << 20 })),
        },
        closed,
      ),
    ),
    language: Type.Optional(Type.Enum(['zh', 'en'])),
    logLevel: Type.Optional(Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])),
  },
  closed,
)
type ConfigFile = Static<typeof ConfigFile>
const shape = Compile(ConfigFile)

export interface HubConfig {
  /** Absolute path of the data folder. */
  data: string
  listen: { host: string; port: number }
  /** Public addresses that tokens carry. Empty: https://<hostname>:<port>, known when the hub listens. */
  urls: readonly string[]
  /** URL of a PostgreSQL that hub processes may share; absent: the hub runs its own in the data folder. */
  store?: string
  /** Absolute paths of PEM files; absent: the hub is its own authority. */
  tls?: { certificate: string; key: string }
  policy: { days: number }
  /** Days, days, and how many times its snapshot the changes of a stream may grow to. */
  log: { retention: number; lapse: number; snapshotFactor: number }
  /** Of one batch: bytes encoded, bytes unpacked, rows; and bytes of one poll answer. */
  limits: { batchBytes: number; unpackedBytes: number; batchRows: number; answerBytes: number }
  language?: 'zh' | 'en'
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

const defaultLimits = {
  batchBytes: readerLimits.encoded,
  unpackedBytes: readerLimits.unpacked,
  batchRows: readerLimits.rows,
  answerBytes: 4 << 20,
}

/** Reads, validates and freezes the configuration. A missing file means defaults only where `optional`. Throws QZ-CONFIG. */
export function loadConfig(file: string, options: { optional?: boolean; env?: NodeJS.ProcessEnv } = {}): HubConfig {
  const path = resolve(file)
  const folder = dirname(path)
  const text = readText(path, options.optional ?? false)
  const value = resolveReferences(parse(path, text), '', { folder, env: options.env ?? process.env })
  if (!shape.Check(value)) throw misfit(value)
  return withDefaults(value, folder)
}

function withDefaults(file: ConfigFile, folder: string): HubConfig {
  const config: HubConfig = {
    data: resolve(folder, file.data ?? 'data'),
    listen: { host: '0.0.0.0', port: 8443, ...file.listen },
    urls: (file.urls ?? []).map((url) => url.replace(/\/$/, '')),
    ...(file.store === undefined ? {} : { store: file.store }),
    ...(file.tls && { tls: { certificate: resolve(folder, file.tls.certificate), key: resolve(folder, file.tls.key) } }),
    policy: { days: 30, ...file.policy },
    log: { retention: 7, lapse: 7, snapshotFactor: 2, ...file.log },
    limits: { ...defaultLimits, ...file.limits },
    ...(file.language && { language: file.language }),
    logLevel: file.logLevel ?? 'info',
  }
  return deepFreeze(config)
}

function readText(path: string, optional: boolean): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (optional && (error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw fault(path, `无法读取 / cannot be read: ${reasonOf(error)}`, error)
  }
}

function parse(path: string, text: string): unknown {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [error] = document.errors
  if (error) throw fault(`${path}:${lines.linePos(error.pos[0]).line}`, `YAML: ${error.message.split('\n')[0]}`, error)
  return document.toJS({ maxAliasCount: 100 }) ?? {}
}

interface Surroundings {
  folder: string
  env: NodeJS.ProcessEnv
}

/** Replaces `${env:NAME}` and `${file:path}` (relative to the configuration file; a line end at its end is cut) in every string. */
function resolveReferences(value: unknown, key: string, around: Surroundings): unknown {
  if (typeof value === 'string')
    return value.replace(/\$\{(\w+):([^}]*)\}/g, (_, kind: string, name: string) => reference(kind, name, key, around))
  if (Array.isArray(value)) return value.map((part, i) => resolveReferences(part, `${key}[${i}]`, around))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, resolveReferences(part, key === '' ? name : `${key}.${name}`, around)]),
  )
}

function reference(kind: string, name: string, key: string, { folder, env }: Surroundings): string {
  if (kind === 'env') {
    const value = env[name]
    if (value === undefined)
      throw fault(key, `环境变量 ${name} 未设置,请设置后再启动 / environment variable ${name} is not set: set it and start again`)
    return value
  }
  if (kind !== 'file')
    throw fault(key, `只支持 \${env:NAME} 与 \${file:path} / only \${env:NAME} and \${file:path} are known, not \${${kind}:…}`)
  try {
    return readFileSync(resolve(folder, name), 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw fault(key, `无法读取文件 ${name} / file ${name} cannot be read: ${reasonOf(error)}`, error)
  }
}

/** The first thing that does not fit, with the key's full name and what to do about it. */
function misfit(value: unknown): QianzhiError {
  const errors = shape.Errors(value)
  const foreign = errors.find((error) => error.keyword === 'additionalProperties')
  const error = foreign ?? errors[0]
  const at = (error?.instancePath ?? '').split('/').slice(1)
  if (foreign) {
    const unknown = foreign.params.additionalProperties[0]!
    const known = knownKeys(at).join(', ')
    return fault(
      [...at, unknown].join('.'),
      `未知配置项,请删除或改正;此处可用: ${known} / unknown key: remove or correct it; known here: ${known}`,
    )
  }
  return fault(at.join('.') || 'file', `取值不符合要求,请改正 / correct the value, it ${error?.message ?? 'does not fit'}`)
}

function knownKeys(at: readonly string[]): string[] {
  let schema: { properties?: Record<string, object> } = ConfigFile
  for (const name of at) schema = schema.properties?.[name] ?? {}
  return Object.keys(schema.properties ?? {})
}

function fault(key: string, reason: string, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-CONFIG', { key, reason }, { cause })
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part as object)
  return Object.freeze(value)
}
