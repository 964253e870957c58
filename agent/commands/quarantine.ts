import { existsSync } from 'node:fs'
import type { CorrectionNote } from '../../protocol/api.ts'
import { localTime } from '../../protocol/local-time.ts'
import { counted, joinTexts, same, type LocalizedText } from '../../protocol/localized.ts'
import { callControl, noRunningAgent } from '../operator/control.ts'
import { maxQuarantined, onlyReads, type QuarantinedKey, type Replayed } from '../database.ts'
import { StreamStore, storeFile } from '../runtime/stream-store.ts'
import { openForCommand } from './connect.ts'
import type { Command, CommandDeps } from './command.ts'
import { requireName } from './resync.ts'

/** Lists what stands in the quarantines of all databases; also while no agent runs. Keys are row values: they go to this terminal alone. */
export const quarantine: Command = async (context) => {
  const listed: Listed[] = await scannedKeys(context)
  for (const database of Object.keys(context.config.databases)) {
    listed.push(...(await keysIn(context, database)).map((key) => ({ database, ...key })))
  }
  const corrections = await correctionsAt(context)
  for (const key of listed) {
    const of = (note: RouteNote) => note.route === key.route && note.code === key.code && (note.item ?? key.item) === key.item
    const correction = key.end === 'sink' ? corrections.findLast(of) : undefined
    if (correction) key.correction = { id: correction.correction, state: correction.state, text: correction.text }
  }
  if (context.options['json']) context.print(JSON.stringify(listed, undefined, 2))
  else if (listed.length === 0) context.say('隔离区为空', 'the quarantines are empty')
  else for (const key of listed) sayKey(context, key)
  return 0
}

async function keysIn({ config, words }: CommandDeps, name: string): Promise<QuarantinedKey[]> {
  const database = await openForCommand(config, name)
  try {
    return await database.quarantine(words[0], maxQuarantined)
  } finally {
    await database.close()
  }
}

/** Of sources that are only read: what their files in the data folder hold, which only the running agent can open while it runs. */
async function scannedKeys({ config, words }: CommandDeps): Promise<Listed[]> {
  const sources = config.sources.filter(({ capture, resource }) => capture && onlyReads({ capture }) && (words[0] ?? resource) === resource)
  const told = (await callControl(config.data, 'quarantine', words[0] ? { name: words[0] } : {})) as QuarantinedKey[] | undefined
  return sources.flatMap(({ resource, database }) => {
    const keys = told?.filter((key) => key.resource === resource) ?? storedKeys(config.data, resource)
    return keys.map((key) => ({ database, ...key, since: new Date(key.since) }))
  })
}

function storedKeys(folder: string, resource: string): QuarantinedKey[] {
  if (!existsSync(storeFile(folder, resource))) return []
  const store = StreamStore.open(folder, resource)
  try {
    return store.quarantined(resource, maxQuarantined)
  } finally {
    store.close()
  }
}

function sayKey({ config, say }: CommandDeps, listed: Listed): void {
  const { database, end, resource, route, key, code, item, reason, since, kept, correction } = listed
  const which = `${JSON.stringify(key)} ${code}${item ? ` ${item}` : ''}`
  const what = reason ? joinTexts([which, reason], { zh: '：', en: ': ' }) : same(which)
  const at = localTime(since, config.timezone)
  if (end === 'source')
    return say(`${database} 来源 ${resource} ${what.zh}（自 ${at}）`, `${database} source ${resource} ${what.en} (since ${at})`)
  const again = kept ? { zh: '，可重试', en: ', can be replayed' } : { zh: '', en: '' }
  say(`${database} 落地 ${route} ${what.zh}（自 ${at}${again.zh}）`, `${database} sink ${route} ${what.en} (since ${at}${again.en})`)
  if (!correction) return
  const { id, state, text = '' } = correction
  say(`  更正 ${id}：${state.zh}${text && `：${text}`}`, `  correction ${id}: ${state.en}${text && `: ${text}`}`)
}

type Listed = { database: string; correction?: { id: string; state: LocalizedText; text: string | undefined } } & QuarantinedKey

type RouteNote = CorrectionNote & { route: string }

/** What has become of refused rows at their provider, as the hub told the running agent. */
async function correctionsAt({ config }: CommandDeps): Promise<RouteNote[]> {
  const routes = (await callControl(config.data, 'corrections')) as { route: string; corrections: CorrectionNote[] }[] | undefined
  return (routes ?? []).flatMap(({ route, corrections }) => corrections.map((note) => ({ ...note, route })))
}

/** What could not be sent or applied is tried again by the running agent. Exit code 1 where a delivered table still refuses rows. */
export const replay: Command = async ({ config, words, say }) => {
  const name = requireName(words)
  const done = (await callControl(config.data, 'replay', { name })) as Answer | undefined
  if (!done) throw noRunningAgent()
  if (done.source) say(`${name}：隔离的行将重新读取并发送`, `${name}: the quarantined rows will be read and sent again`)
  for (const { route, tried, applied, quarantine: left } of done.routes) {
    say(
      `${route}：重试 ${tried} 行，写入 ${applied} 行，隔离区尚有 ${left} 行`,
      `${route}: ${counted(tried, 'row')} tried again, ${applied} applied, ${left} left in quarantine`,
    )
  }
  return done.routes.some(({ tried, applied }) => applied < tried) ? 1 : 0
}

interface Answer {
  source: boolean
  routes: ({ route: string } & Replayed)[]
}
