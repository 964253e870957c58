import { join } from 'node:path'
import { QianzhiError } from '../../protocol/errors.ts'
import { gapKey } from '../../protocol/gap.ts'
import { openPolicy } from '../../protocol/policy.ts'
import { keyId } from '../../protocol/signature.ts'
import { handPolicy, noteCarried } from '../gaps/carrier.ts'
import { innerFile, listFiles, readStatementFile } from '../gaps/files.ts'
import { openHubClient } from '../gaps/open-hub.ts'
import { openKey, openState, requireIdentity } from '../runtime/state.ts'
import type { CommandDeps } from './command.ts'
import { readToken } from './connect.ts'

/**
 * Enrols an agent inside a one-way gap at the hub: its word on its key has come out, the hub's policy for it goes in as `gap.json`. From
 * then on this agent brings what that one signs.
 */
export async function enrollCarried({ config, words, options, say }: CommandDeps, name: string): Promise<number> {
  const entry = (config.carry ?? []).find(({ folder }) => folder === name)
  if (!entry) throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: `carry 中的 ${name}`, en: `carry: ${name}` } })
  const path = config.databases[name]!.folder!.path
  const [file] = (await listFiles([path])).filter((found) => found.name.toLowerCase() === innerFile)
  const carried = file && (await readStatementFile(file.path))
  const inner = carried === undefined ? undefined : gapKey.openOwn(carried)
  if (!inner || carried === undefined) throw new QianzhiError('QZ-NOT-FOUND', { what: join(path, innerFile) })
  const token = readToken(words[0] ?? '')
  const identity = requireIdentity(openState(config.data))
  const key = openKey(config.data)
  const hub = openHubClient(config, identity, key)
  try {
    const request = { secret: token.secret, publicKey: inner.publicKey, name: String(options['name'] ?? name), carried }
    const { agent, agency, policy } = await hub.enrol(request)
    openPolicy(policy, identity.hubKey, agent, 0)
    const back = entry.back === undefined ? join(config.data, `gap ${agent}`) : config.databases[entry.back]!.folder!.path
    await handPolicy(back, { agent, policy, identity, key, data: config.data, now: new Date() })
    noteCarried(config.data, name, agent)
    say(
      `已登记内侧代理 ${agent}，机关单位 ${agency}。请核对其密钥指纹 ${keyId(inner.publicKey)}；把 ${back}/gap.json 送入内侧`,
      `Enrolled the agent inside: ${agent} of agency ${agency}. Compare the fingerprint of its key: ${keyId(inner.publicKey)}; carry ${back}/gap.json in`,
    )
    return 0
  } finally {
    await hub.close()
  }
}
