import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError, reasonOf } from './errors.ts'

/**
 * Reads a program's one YAML file: references resolved (`${env:NAME}`, `${file:path}`, the path relative to the file), checked
 * against its shape, frozen. Inside a `url` the value of a reference is percent-encoded, so that any password fits.
 * Throws QZ-CONFIG naming the key and what to do.
 */
export function readConfiguration<T extends TSchema>(file: string, shape: T, environment: NodeJS.ProcessEnv = process.env): Static<T> {
  const path = resolve(file)
  const value = resolveReferences(parseYaml(path) ?? {}, '', { environment, folder: dirname(path) })
  const validator = Compile(shape)
  if (!validator.Check(value)) throw faultOf(validator.Errors(value))
  return deepFreeze(value) as Static<T>
}

function parseYaml(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new QianzhiError('QZ-CONFIG', { key: path, reason: reasonOf(cause) }, { cause })
  }
}

interface ReferenceContext {
  environment: NodeJS.ProcessEnv
  folder: string
}

function resolveReferences(value: unknown, key: string, context: ReferenceContext): unknown {
  if (typeof value === 'string') return resolveText(value, key, context)
  if (Array.isArray(value)) return value.map((element, i) => resolveReferences(element, `${key}[${i}]`, context))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, resolveReferences(inner, key ? `${key}.${name}` : name, context)]),
  )
}

function resolveText(text: string, key: string, { environment, folder }: ReferenceContext): string {
  const encode = key.endsWith('url') || /urls\[\d+\]$/.test(key) ? encodeURIComponent : (part: string) => part
  return text.replace(/\$\{(\w+):([^}]+)\}/g, (_, kind: string, name: string) => {
    if (kind === 'env') return encode(environment[name] ?? missing(key, `environment variable ${name} is not set`))
    if (kind !== 'file') return missing(key, `\${${kind}:…} is no reference; use \${env:NAME} or \${file:path}`)
    try {
      return encode(readFileSync(resolve(folder, name), 'utf8').trimEnd())
    } catch (cause) {
      return missing(key, reasonOf(cause))
    }
  })
}

function missing(key: string, reason: string): never {
  throw new QianzhiError('QZ-CONFIG', { key, reason })
}

interface ShapeError {
  keyword: string
  instancePath: string
  message: string
  params: object
}

function faultOf(errors: ShapeError[]): QianzhiError {
  const error = errors.find((candidate) => candidate.keyword === 'additionalProperties') ?? errors[0]
  const path = (error?.instancePath ?? '').slice(1).replaceAll('/', '.')
  if (error?.keyword === 'additionalProperties') {
    const names = (error.params as { additionalProperties?: string[] }).additionalProperties ?? []
    const key = [path, names.join(', ')].filter(Boolean).join('.')
    return new QianzhiError('QZ-CONFIG', { key, reason: 'unknown key: remove it, or check its spelling / 未知的配置项,请删除或检查拼写' })
  }
  return new QianzhiError('QZ-CONFIG', { key: path || '(file)', reason: error?.message ?? 'wrong shape' })
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze)
    Object.freeze(value)
  }
  return value
}
