import { QianzhiError } from '../../protocol/errors.ts'
import { callControl, noRunningAgent } from '../operator/control.ts'
import type { Command } from './command.ts'

/** A supplied resource is sent again from its first row; a received one is filled anew beside its table and then put in its place. */
export const resync: Command = async ({ config, words, say }) => {
  const name = requireName(words)
  const done = (await callControl(config.data, 'resync', { name })) as { source: boolean; sink: boolean } | undefined
  if (!done) throw noRunningAgent()
  if (done.source) say(`${name}：将重新做快照`, `${name}: a snapshot will be taken`)
  if (done.sink) say(`${name}：将重新填充落地表`, `${name}: the delivered table will be filled anew`)
  return 0
}

/** A source that is only read is scanned for changes now, whatever its schedule. */
export const scan: Command = async ({ config, words, say }) => {
  const name = requireName(words)
  if (!(await callControl(config.data, 'scan', { name }))) throw noRunningAgent()
  say(`${name}：开始扫描`, `${name}: a scan begins`)
  return 0
}

/** The local operator accepts a provider's new key. */
export const trust: Command = async ({ config, words, say }) => {
  const name = requireName(words)
  const done = (await callControl(config.data, 'trust', { name })) as { keys: string[] } | undefined
  if (!done) throw noRunningAgent()
  say(`${name}：已接受提供方密钥 ${done.keys.join(', ')}`, `${name}: provider keys accepted: ${done.keys.join(', ')}`)
  return 0
}

export function requireName(words: readonly string[]): string {
  if (!words[0])
    throw new QianzhiError('QZ-CONFIG', { key: 'argument', reason: { zh: '请给出资源或路由名', en: 'name a resource or route' } })
  return words[0]
}
