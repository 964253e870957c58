import { isDeepStrictEqual } from 'node:util'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError } from './errors.ts'
import { AnyMask } from './masks.ts'
import { ChainPosition } from './position.ts'
import { codePattern } from './schema.ts'
import { readStatement, sha256, statementKeyId, verifyStatement } from './signature.ts'
import { trustedManifest } from './batch.ts'
import { valueTypes } from './value.ts'

/**
 * What lies beside each file of rows that an agent writes into a folder, as `NAME.manifest.json`: a JSON object of a readable `manifest` and
 * of `signature`, a compact JWS of type `qz-file` over the same by the agent that wrote the file. It comes after the file: whoever waits for
 * it sees a whole file. In it stand the provider's own signed manifests of the batches that the file was made of.
 */
const hash = Type.String({ pattern: '^[0-9a-f]{64}$' })

export const FileManifest = Type.Object({
  v: Type.Literal(1),
  /** The agent that wrote the file and signed this. */
  agent: Type.String(),
  route: Type.String(),
  resource: Type.String({ pattern: codePattern }),
  title: Type.String(),
  /** The agency whose rows these are. */
  source: Type.String({ pattern: codePattern }),
  /** Version of the resource. */
  schema: Type.Integer({ minimum: 1 }),
  /** In the order of the file's columns; `header` is what a column is called there. */
  items: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      label: Type.String(),
      type: Type.Enum([...valueTypes]),
      header: Type.String(),
      /** The hub derived its values, by this mask (derived.ts): the provider did not sign them. */
      derived: Type.Optional(AnyMask),
    }),
  ),
  /** All rows, or the newest state of each one that changed since the file before. */
  kind: Type.Enum(['whole', 'changes']),
  /** Grows with each file of the route. A file of changes follows the one before by exactly one; a whole file may leave some out. */
  number: Type.Integer({ minimum: 1 }),
  file: Type.String({ maxLength: 255 }),
  format: Type.Enum(['csv', 'jsonl', 'excel']),
  encoding: Type.Optional(Type.Enum(['utf-8', 'gb18030'])),
  separator: Type.Optional(Type.String()),
  /** `escape`: an apostrophe stands before texts that a spreadsheet would take for formulas. */
  formulas: Type.Enum(['keep', 'escape']),
  rows: Type.Integer({ minimum: 0 }),
  size: Type.Integer({ minimum: 0 }),
  sha256: hash,
  /** SHA-256 of the file before this one; null for the first. */
  previous: Type.Union([hash, Type.Null()]),
  /** Position in the provider's stream that the file before reached, and the one that this one does. */
  from: Type.Union([ChainPosition, Type.Null()]),
  to: ChainPosition,
  /** Batches between the two. */
  batches: Type.Integer({ minimum: 0 }),
  /** Rows of the resource that could not be delivered: in the file they are as they were before, or missing. */
  quarantine: Type.Integer({ minimum: 0 }),
  time: Type.String({ maxLength: 40 }),
  /** Manifests of these batches as the provider signed them, oldest first; the first ones and the last where they would be too many. */
  provider: Type.Array(Type.String()),
})
export type FileManifest = Static<typeof FileManifest>
const shape = Compile(FileManifest)

export function manifestName(file: string): string {
  return `${file}.manifest.json`
}

export function fileManifestText(manifest: FileManifest, signature: string): string {
  return `${JSON.stringify({ manifest, signature }, undefined, 2)}\n`
}

/** What a text says it is, without any check of its signature; undefined where it is none. */
export function readFileManifest(text: string): { manifest: FileManifest; signature: string } | undefined {
  try {
    const { signature } = JSON.parse(text) as { signature?: unknown }
    const manifest = typeof signature === 'string' ? readStatement(signature) : undefined
    return shape.Check(manifest) ? { manifest, signature: signature as string } : undefined
  } catch {
    return undefined
  }
}

type KeyOf = (keyId: string) => string | undefined

/** The manifest, if the key that `agentKey` gives signed it and its readable part says the same. Throws QZ-FILE-SIGNATURE. */
export function openFileManifest(text: string, agentKey: KeyOf): FileManifest {
  const read = readFileManifest(text)
  if (!read) throw fault('清单格式不正确', 'this is no manifest')
  const id = statementKeyId(read.signature, 'qz-file')
  const key = id === undefined ? undefined : agentKey(id)
  if (key === undefined) throw fault(`写入文件的代理密钥 ${id} 未知`, `the key ${id} of the agent that wrote the file is not known`)
  const manifest = verifyStatement(read.signature, 'qz-file', key)
  if (!shape.Check(manifest)) throw fault('代理签名不符', "the agent's signature does not match")
  if (!isDeepStrictEqual((JSON.parse(text) as { manifest?: unknown }).manifest, manifest))
    throw fault('清单内容与签名不一致', 'the readable part is not what was signed')
  return manifest
}

/**
 * Checks the provider's manifests in it: each signed by a key that `providerKey` gives, of this resource, in order, and the last one that of
 * the position which the file reached. Throws QZ-FILE-SIGNATURE. @returns how many there are.
 */
export function verifyProvider({ resource, to, provider }: FileManifest, providerKey: KeyOf): number {
  const last = provider.at(-1)
  if (last === undefined || sha256(last) !== to.hash)
    throw fault('清单不含所达位置的提供方签名', "the provider's signature of the position reached is not in it")
  let before: { epoch: number; seq: number; hash: string } | undefined
  for (const jws of provider) {
    const id = statementKeyId(jws, 'qz-batch')
    const key = id === undefined ? undefined : providerKey(id)
    if (key === undefined)
      throw fault(`提供方密钥 ${id} 未知，请用 --key 给出`, `the provider's key ${id} is not known: give it with --key`)
    if (verifyStatement(jws, 'qz-batch', key) === undefined) throw fault('提供方签名不符', "the provider's signature does not match")
    const batch = trustedManifest({ jws })
    if (batch.resource !== resource) throw fault(`提供方签名属于资源 ${batch.resource}`, `the provider signed it for ${batch.resource}`)
    if (before && batch.epoch === before.epoch && batch.seq === before.seq + 1 && batch.prev !== before.hash)
      throw fault(`批次 ${batch.epoch}/${batch.seq} 不接续前一批次`, `batch ${batch.epoch}/${batch.seq} does not follow the one before`)
    before = { epoch: batch.epoch, seq: batch.seq, hash: sha256(jws) }
  }
  return provider.length
}

function fault(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-FILE-SIGNATURE', { reason: { zh, en } })
}
