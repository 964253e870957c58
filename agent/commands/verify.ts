import { counted } from '../../protocol/localized.ts'
import { shownTime } from '../../protocol/local-time.ts'
import { readFile, stat } from 'node:fs/promises'
import { manifestName, openFileManifest, verifyProvider, type FileManifest } from '../../protocol/file-manifest.ts'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import { keyId } from '../../protocol/signature.ts'
import { fileHash } from '../folders/store/durable-write.ts'
import { PolicyStore } from '../hub/policy-store.ts'
import { openKey, openState } from '../runtime/state.ts'
import type { Command, CommandDeps } from './command.ts'

/** Bytes of a manifest that is read. */
const longestManifest = 16 << 20

/**
 * Checks a file that was written into a folder, whatever it is called now: its content, the signature of the agent that wrote it, and the
 * provider's. The agent's key is this one's own, the provider's one of those in the policy; others are given with --key. Exit code 1 where
 * anything cannot be said to be so.
 */
export const verify: Command = async (context) => {
  const { config, words, say, language } = context
  const [given] = words
  if (given === undefined) throw new QianzhiError('QZ-CONFIG', { key: 'argument', reason: { zh: '请给出文件名', en: 'name a file' } })
  const file = given.endsWith(manifestName('')) ? given.slice(0, -manifestName('').length) : given
  const keys = knownKeys(context)
  const manifest = openFileManifest(await manifestText(file), (id) => keys.agent.get(id))
  await checkContent(file, manifest)
  say(
    `文件：${manifest.file}，${manifest.rows} 行，SHA-256 一致`,
    `file: ${manifest.file}, ${counted(manifest.rows, 'row')}, its SHA-256 is as stated`,
  )
  say(
    `写入方：代理 ${manifest.agent} 的签名有效（${shownTime(manifest.time, config.timezone)}）`,
    `written by agent ${manifest.agent}: its signature holds (${shownTime(manifest.time, config.timezone)})`,
  )
  tellContent(context, manifest)
  try {
    const signed = verifyProvider(manifest, (id) => keys.provider(manifest.resource).get(id))
    say(
      `提供方：${manifest.source} 的 ${signed} 个批次签名有效`,
      `provider ${manifest.source}: its signatures of ${counted(signed, 'batch')} hold`,
    )
  } catch (error) {
    const coded = codedError(error)
    context.print(`${coded.code} ${coded.text(language)}`)
    return 1
  }
  return 0
}

function tellContent({ say }: CommandDeps, { resource, kind, number, to, quarantine }: FileManifest): void {
  const what = kind === 'whole' ? { zh: '全量', en: 'all rows' } : { zh: '增量', en: 'changes' }
  say(
    `内容：${resource} 第 ${number} 个文件（${what.zh}），至 ${to.epoch}/${to.seq}`,
    `content: ${resource}, file ${number} (${what.en}), up to ${to.epoch}/${to.seq}`,
  )
  if (quarantine > 0) say(`另有 ${quarantine} 行在隔离区`, `besides, ${counted(quarantine, 'row')} in quarantine`)
}

/** By key id. The policy is verified with the pinned key of the hub. */
function knownKeys({ config, options }: CommandDeps): {
  agent: Map<string, string>
  provider: (resource: string) => Map<string, string>
} {
  const state = openState(config.data)
  const enrolled = state.data.identity !== undefined
  const keeper = enrolled
    ? new PolicyStore(
        state,
        () => new Date(),
        () => undefined,
      )
    : undefined
  const given = typeof options['key'] === 'string' ? options['key'].split(',') : []
  const byId = (keys: readonly string[]) => new Map([...keys, ...given].map((key) => [keyId(key), key]))
  return {
    agent: byId(enrolled ? [openKey(config.data).publicKey] : []),
    provider(resource) {
      const receives = keeper?.policy?.receive.filter(({ schema }) => schema.resource === resource) ?? []
      return byId(receives.flatMap(({ keys }) => keys.map(({ key }) => key)))
    },
  }
}

async function manifestText(file: string): Promise<string> {
  const path = manifestName(file)
  try {
    if ((await stat(path)).size > longestManifest) throw new Error('too large')
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new QianzhiError('QZ-NOT-FOUND', { what: path }, { cause: error })
  }
}

async function checkContent(file: string, { size, sha256 }: FileManifest): Promise<void> {
  const found = await fileHash(file)
  if (!found) throw new QianzhiError('QZ-NOT-FOUND', { what: file })
  if (found.size !== size || found.sha256 !== sha256) throw wrong('文件内容与清单不符', 'the file is not what its manifest says')
}

function wrong(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-FILE-SIGNATURE', { reason: { zh, en } })
}
