import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Static, TObject } from 'typebox'
import { Compile } from 'typebox/compile'
import { LineCounter, parseDocument } from 'yaml'
import { QianzhiError, reasonOf } from './errors.ts'
import { joinTexts, same, type LocalizedText } from './localized.ts'

export interface ReadingOptions {
  /** A missing file means defaults only. */
  optional?: boolean
  env?: NodeJS.ProcessEnv
  /** Gets the paths of the files that references name. */
  files?: string[]
}

/**
 * Reads a program's one YAML file: references resolved (`${env:NAME}`, and `${file:path}` relative to the file), checked against its
 * shape. Behind `scheme://` the value of a reference is percent-encoded, so that any password fits into a URL.
 * Throws QZ-CONFIG naming the key and what to do, in both languages.
 */
export function readConfiguration<T extends TObject>(file: string, shape: T, options: ReadingOptions = {}): Static<T> {
  const path = resolve(file)
  const text = readText(path, options.optional ?? false)
  const value = resolveReferences(parse(path, text), '', {
    folder: dirname(path),
    env: options.env ?? process.env,
    files: options.files ?? [],
  })
  const validator = Compile(shape)
  if (!validator.Check(value)) throw misfit(validator.Errors(value), shape)
  return value
}

function readText(path: string, optional: boolean): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (optional && (error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw fault(path, { zh: `无法读取：${reasonOf(error)}`, en: `cannot be read: ${reasonOf(error)}` }, error)
  }
}

function parse(path: string, text: string): unknown {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [error] = document.errors
  if (error) throw fault(`${path}:${lines.linePos(error.pos[0]).line}`, same(`YAML: ${error.message.split('\n')[0]}`), error)
  return document.toJS({ maxAliasCount: 100 }) ?? {}
}

interface Surroundings {
  folder: string
  env: NodeJS.ProcessEnv
  files: string[]
}

function resolveReferences(value: unknown, key: string, around: Surroundings): unknown {
  if (typeof value === 'string') return resolveText(value, key, around)
  if (Array.isArray(value)) return value.map((part, i) => resolveReferences(part, `${key}[${i}]`, around))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, resolveReferences(part, key === '' ? name : `${key}.${name}`, around)]),
  )
}

function resolveText(text: string, key: string, around: Surroundings): string {
  const url = /^[a-z]+:\/\//.test(text)
  return text.replace(/\$\{(\w+):([^}]*)\}/g, (_, kind: string, name: string) => {
    const value = reference(kind, name, key, around)
    return url ? encodeURIComponent(value) : value
  })
}

function reference(kind: string, name: string, key: string, { folder, env, files }: Surroundings): string {
  if (kind === 'env') {
    const value = env[name]
    if (value !== undefined) return value
    throw fault(key, {
      zh: `环境变量 ${name} 未设置，请设置后再启动`,
      en: `environment variable ${name} is not set: set it and start again`,
    })
  }
  if (kind !== 'file') {
    throw fault(key, {
      zh: `只支持 \${env:NAME} 与 \${file:path}，不支持 \${${kind}:…}`,
      en: `only \${env:NAME} and \${file:path} are known, not \${${kind}:…}`,
    })
  }
  const path = resolve(folder, name)
  files.push(path)
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw fault(key, { zh: `无法读取文件 ${name}：${reasonOf(error)}`, en: `file ${name} cannot be read: ${reasonOf(error)}` }, error)
  }
}

interface ShapeError {
  keyword: string
  instancePath: string
  message: string
  params: object
}

/** The first thing that does not fit, with the key's full name and what to do about it. */
function misfit(errors: readonly ShapeError[], shape: TObject): QianzhiError {
  const foreign = errors.find((error) => error.keyword === 'additionalProperties')
  // Of something that may have one of several shapes the deepest fault is meant.
  const depth = ({ instancePath }: ShapeError) => instancePath.split('/').length
  const error = foreign ?? errors.toSorted((a, b) => depth(b) - depth(a))[0]
  const at = (error?.instancePath ?? '').split('/').slice(1)
  if (!foreign) {
    const key = at.join('.') || 'file'
    const wanted = wantedOf(errors.filter(({ instancePath }) => instancePath === error?.instancePath))
    if (wanted) return fault(key, { zh: `取值不符合要求，应为：${wanted.zh}`, en: `correct the value: wanted here is ${wanted.en}` })
    const wrong = error?.message ?? 'does not fit'
    return fault(key, { zh: `取值不符合要求，请改正：${wrong}`, en: `correct the value, it ${wrong}` })
  }
  const unknown = (foreign.params as { additionalProperties: string[] }).additionalProperties[0]!
  const known = knownKeys(shape, at).join(', ')
  return fault([...at, unknown].join('.'), {
    zh: `未知配置项，请删除或改正；此处可用：${known}`,
    en: `unknown key: remove or correct it; known here: ${known}`,
  })
}

const kindNames: Readonly<Record<string, LocalizedText>> = {
  string: { zh: '文字', en: 'a text' },
  number: { zh: '数', en: 'a number' },
  integer: { zh: '整数', en: 'a whole number' },
  boolean: { zh: 'true 或 false', en: 'true or false' },
  array: { zh: '列表（[ … ] 或各行以 - 开头）', en: 'a list ([ … ], or lines that begin with -)' },
  object: { zh: '映射（{ 名称: 值 }）', en: 'a mapping ({ name: value })' },
}

/** What may stand in one place, where its kind or word is what is wrong; undefined where it is something else, such as a limit. */
function wantedOf(errors: readonly ShapeError[]): LocalizedText | undefined {
  const params = errors.map(({ params }) => params as { allowedValue?: unknown; allowedValues?: unknown[]; type?: string })
  const words = params.flatMap(({ allowedValue, allowedValues }) => allowedValues ?? (allowedValue === undefined ? [] : [allowedValue]))
  // One of several words is a text: its kind says nothing more.
  const kinds = params.flatMap(({ type }) => (type === undefined || (type === 'string' && words.length > 0) ? [] : [kindNames[type]]))
  if (errors.some(({ keyword }) => !['type', 'const', 'enum', 'anyOf'].includes(keyword)) || kinds.includes(undefined)) return undefined
  const all = [...words.map((word) => same(String(word))), ...(kinds as LocalizedText[])]
  return all.length === 0 ? undefined : joinTexts(all, { zh: '、或 ', en: ', or ' })
}

interface ShapePart {
  properties?: Record<string, ShapePart>
  patternProperties?: Record<string, ShapePart>
  items?: ShapePart
  anyOf?: ShapePart[]
}

function knownKeys(shape: ShapePart, at: readonly string[]): string[] {
  let parts: ShapePart[] = [shape]
  for (const name of at) {
    const below = parts.map((part) => part.properties?.[name] ?? Object.values(part.patternProperties ?? {})[0] ?? part.items)
    parts = below.flatMap((part) => part?.anyOf ?? part ?? []).flatMap((part) => part.anyOf ?? part)
  }
  return [...new Set(parts.flatMap(({ properties = {} }) => Object.keys(properties)))]
}

function fault(key: string, reason: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-CONFIG', { key, reason }, { cause })
}

export function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part as object)
  return Object.freeze(value)
}
