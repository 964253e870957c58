import { readFileSync } from 'node:fs'
import type { Manifest } from '../../protocol/batch.ts'
import type { StatementType } from '../../protocol/signature.ts'

/** The stored vectors by file, as test/vectors/make.ts writes them. */
export interface Vectors {
  'keys.json': { name: string; seed: string; publicKey: string; id: string; pem: string }[]
  'statements.json': {
    accepted: { name: string; typ: StatementType; key: string; payload: object; jws: string; sha256: string }[]
    refused: { name: string; typ: StatementType; key: string; jws: string }[]
  }
  'batches.json': {
    name: string
    container: string
    hash: string
    manifest: Manifest
    values: { item: string; values: (string | null)[] }[]
  }[]
  'refused.json': { name: string; code: string; container: string }[]
  'deliveries.json': {
    accepted: { name: string; container: string; header: object; batches: string[] }[]
    refused: { name: string; code: string; container: string }[]
  }
  'requests.json': {
    name: string
    method: string
    path: string
    headers: Record<string, string>
    body: string
    now: string
    expected: string
  }[]
  'wire.json': { protocolVersion: number; paths: object; mediaTypes: string[]; shapes: Record<string, unknown> }
}

export function readVectors<File extends keyof Vectors>(file: File): Vectors[File] {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as Vectors[File]
}

export function vectorKey(name: string): Vectors['keys.json'][number] {
  const key = readVectors('keys.json').find((candidate) => candidate.name === name)
  if (!key) throw new Error(`no key ${name} in keys.json`)
  return key
}
