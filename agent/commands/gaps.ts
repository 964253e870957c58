import { counted } from '../../protocol/localized.ts'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { QianzhiError } from '../../protocol/errors.ts'
import { gapKey, type PlaceRange } from '../../protocol/gap.ts'
import { same } from '../../protocol/localized.ts'
import { showPosition, type Position } from '../../protocol/position.ts'
import { keyId } from '../../protocol/signature.ts'
import { gapOf } from '../config/gaps.ts'
import { sinkFile, SinkStore } from '../folders/store/sink-store.ts'
import { isSentOut, openOutstream } from '../gaps/outstream.ts'
import { GapCopies } from '../gaps/copies.ts'
import { exportBatch, exportBatches, readRange, wholeEpoch } from '../gaps/export.ts'
import { folderOf, innerFile, listFiles, readStatementFile } from '../gaps/files.ts'
import { acceptedKeys, acceptKey } from '../gaps/outlet.ts'
import type { Command, CommandDeps } from './command.ts'
import { requireName } from './resync.ts'

/** Writes kept batches of a route into its gap's folder again; also beside a running agent. Exit code 1 where some are not kept any more. */
export const exportCommand: Command = async (context) => {
  const { config, words } = context
  const name = requireName(words)
  const { out } = gapOf(config) ?? {}
  const supplied = out !== undefined && isSentOut(config.data, name)
  const path = config.sinks
    .flatMap(({ contents, database }) => (contents === 'batches' ? config.databases[database]!.folder!.path : []))
    .find((folder) => existsSync(sinkFile({ data: config.data, path: folder }, name)))
  if (!supplied && path === undefined) throw new QianzhiError('QZ-NOT-FOUND', { what: name })
  const store = supplied ? openOutstream(config.data, name) : SinkStore.open({ data: config.data, path: path! }, name)
  try {
    return await exportStream(context, new GapCopies(store), folderOf(supplied ? out.path : path!, name))
  } finally {
    store.close()
  }
}

async function exportStream({ words, say }: CommandDeps, copies: GapCopies, folder: string): Promise<number> {
  const route = requireName(words)
  const ranges = words.slice(1).map(requireRange)
  const written: Position[] = []
  const missing: Position[] = []
  for (const range of ranges) {
    const exported = await exportBatches(copies, folder, range)
    written.push(...exported.written)
    // An epoch without seqs has no end that could be missing.
    if (range.to < wholeEpoch) missing.push(...exported.missing)
  }
  if (ranges.length === 0) {
    written.push(...copies.after(copies.confirmed ?? { epoch: 0, seq: 0 }))
    for (const place of written) await exportBatch(copies, folder, place)
  }
  say(`${route}：已写 ${written.length} 个批次到 ${folder}`, `${route}: ${counted(written.length, 'batch')} written into ${folder}`)
  if (missing.length === 0) return 0
  const first = showPosition(missing[0])
  say(
    `${route}：自 ${first} 起有 ${missing.length} 个批次已不保留，请执行 qianzhi-agent resync ${route}`,
    `${route}: ${counted(missing.length, 'batch')} from ${first} on not kept any more: run qianzhi-agent resync ${route}`,
  )
  return 1
}

function requireRange(text: string): PlaceRange {
  const range = readRange(text)
  if (range) return range
  throw new QianzhiError('QZ-CONFIG', {
    key: 'argument',
    reason: { zh: `${text}：范围写作 期-批..批`, en: `${text}: a range is EPOCH-SEQ..SEQ` },
  })
}

/** Shows the key of the agent behind a gap; accepts it when its fingerprint is given, as that agent showed it. */
export const trustGap: Command = async ({ config, words, say }) => {
  const back = requireName(words)
  const path = config.databases[back]?.folder?.path
  if (path === undefined) throw new QianzhiError('QZ-NOT-FOUND', { what: same(`folders.${back}`) })
  const [file] = (await listFiles([path])).filter(({ name }) => name.toLowerCase() === innerFile)
  const jws = file && (await readStatementFile(file.path))
  const named = jws === undefined ? undefined : gapKey.openOwn(jws)
  if (!named) throw new QianzhiError('QZ-NOT-FOUND', { what: join(path, innerFile) })
  const fingerprint = keyId(named.publicKey)
  if (words[1] === undefined) {
    const known = acceptedKeys(config.data)[back] === named.publicKey
    say(
      `内侧代理密钥指纹 ${fingerprint}${known ? '（已接受）' : `。与内侧核对无误后执行：qianzhi-agent trust-gap ${back} ${fingerprint}`}`,
      `key of the inner agent ${fingerprint}${known ? ' (accepted)' : `. When it is what the inside shows: qianzhi-agent trust-gap ${back} ${fingerprint}`}`,
    )
    return known ? 0 : 1
  }
  if (words[1] !== fingerprint) throw new QianzhiError('QZ-CONFLICT', { what: `${words[1]} / ${fingerprint}` })
  acceptKey(config.data, back, named.publicKey)
  say(`已接受内侧代理密钥 ${fingerprint}`, `key of the inner agent accepted: ${fingerprint}`)
  return 0
}
