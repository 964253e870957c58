import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { QianzhiError } from '../../protocol/errors.ts'
import { gapStatement, type GapStatement } from '../../protocol/gap.ts'
import { keyId } from '../../protocol/signature.ts'
import { callControl } from '../operator/control.ts'
import { gapOf, type Gap } from '../config/gaps.ts'
import { gapFile, listFiles, readStatementFile } from '../gaps/files.ts'
import { GapOutbox } from '../gaps/outbox.ts'
import { PolicyStore } from '../hub/policy-store.ts'
import { openKey, openState } from '../runtime/state.ts'
import type { CommandDeps } from './command.ts'

/**
 * Enrols an agent behind a one-way gap: pins the hub's key and the outer agent's as `gap.json` names them, once; a person compares their
 * fingerprints. It obeys the outer agent's policy, with a key of its own for receipts.
 */
export async function enrollBehindGap(deps: CommandDeps, folder: string): Promise<number> {
  const { config, say } = deps
  const gap = gapOf(config)
  if (!gap?.in)
    throw new QianzhiError('QZ-CONFIG', {
      key: 'hub.gap.in',
      reason: { zh: '请填写外来文件所在的目录', en: 'name the folder in which files from outside arrive' },
    })
  if (await callControl(config.data, 'ping')) throw new QianzhiError('QZ-DATA-LOCKED', { folder: config.data })
  const arrived = config.databases[folder]?.folder?.path ?? resolve(folder)
  const statement = await readGapStatement(arrived, gap.out !== undefined)
  if (!statement) return askToBeEnrolled(deps, gap)
  const { agent, agency, hubKey, publicKey, policy } = statement
  const state = openState(config.data)
  const known = state.data.identity
  if (known && (known.agent !== agent || known.hubKey !== hubKey || known.outer !== publicKey))
    throw new QianzhiError('QZ-CONFLICT', { what: `${config.data}: ${known.agent}` })
  const key = openKey(config.data)
  state.data.identity = { agent, agency, urls: [], hubKey, outer: publicKey }
  // Refuses a policy that the hub did not sign: nothing is kept then.
  new PolicyStore(
    state,
    () => new Date(),
    () => undefined,
  ).take(policy)
  state.write()
  if (gap.out)
    await new GapOutbox({ folder: gap.out, agent, data: config.data, key, again: gap.again, clock: () => new Date() }).introduce()
  say(
    `已在网闸内侧登记：代理 ${agent}，机关单位 ${agency}。请与外侧核对指纹：\n  中心密钥 ${keyId(hubKey)}\n  外侧代理密钥 ${keyId(publicKey)}\n  本机密钥 ${keyId(key.publicKey)}`,
    `Enrolled behind a gap: agent ${agent} of agency ${agency}. Compare the fingerprints with the outside:\n  key of the hub ${keyId(hubKey)}\n  key of the outer agent ${keyId(publicKey)}\n  key of this machine ${keyId(key.publicKey)}`,
  )
  return 0
}

/** Nothing has come from outside yet: the key goes out, for an agent that is to supply and must be enrolled at the hub by the outer one. */
async function askToBeEnrolled({ config, say }: CommandDeps, { out, again }: Gap): Promise<number> {
  const key = openKey(config.data)
  await new GapOutbox({ folder: out!, agent: '', data: config.data, key, again, clock: () => new Date() }).introduce()
  say(
    `已写 ${out!.path}/inner.json（密钥指纹 ${keyId(key.publicKey)}）。外侧执行 qianzhi-agent enroll --carry 目录名 令牌，其 gap.json 到达后再次执行本命令`,
    `${out!.path}/inner.json is written (fingerprint of its key ${keyId(key.publicKey)}). Outside: qianzhi-agent enroll --carry FOLDER TOKEN; when its gap.json has arrived, run this again`,
  )
  return 0
}

/** Undefined where there is none, and that may be. Throws QZ-GAP-STATEMENT. */
async function readGapStatement(folder: string, mayLack: boolean): Promise<GapStatement | undefined> {
  const [file] = existsSync(folder) ? (await listFiles([folder])).filter(({ name }) => name.toLowerCase() === gapFile) : []
  const jws = file && (await readStatementFile(file.path))
  const statement = jws === undefined ? undefined : gapStatement.openOwn(jws)
  if (statement || (!file && mayLack)) return statement
  throw new QianzhiError('QZ-GAP-STATEMENT', { reason: { zh: `${folder} 中没有有效的 gap.json`, en: `no valid gap.json in ${folder}` } })
}
