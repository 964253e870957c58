import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import { EnrolToken } from '../../protocol/api.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { generateSigningKey } from '../../protocol/signature.ts'
import type { Policy } from '../../protocol/policy.ts'
import type { AgentConfig } from '../config/config.ts'
import { callControl } from '../operator/control.ts'
import type { Database } from '../database.ts'
import { openHub as openAgentHub } from '../gaps/open-hub.ts'
import type { Hub } from '../hub.ts'
import { openDatabase } from '../databases/open.ts'
import { PolicyStore } from '../hub/policy-store.ts'
import { enrolledKey, openState, requireIdentity } from '../runtime/state.ts'
import { StatusBoard } from '../status/board.ts'

/** Reads `qzt1.…`. Throws QZ-TOKEN. */
export function readToken(text: string): EnrolToken {
  try {
    const value: unknown = JSON.parse(Buffer.from(text.trim().replace(/^qzt1\./, ''), 'base64url').toString())
    if (text.trim().startsWith('qzt1.') && Value.Check(EnrolToken, value)) return value
  } catch {
    // Falls through: not a token.
  }
  throw new QianzhiError('QZ-TOKEN', { reason: { zh: '不是登记令牌（qzt1.…）', en: 'it is no enrolment token (qzt1.…)' } })
}

/** The hub as an enrolled agent's command reaches it; behind a one-way gap its folders. */
export function openHub(config: AgentConfig): Hub {
  const identity = requireIdentity(openState(config.data))
  return openAgentHub({ config, identity, key: enrolledKey(config.data), policy: () => undefined, logger: pino({ level: 'silent' }) })
}

/** A configured database as a command opens it, also before the agent is enrolled. */
export function openForCommand(config: AgentConfig, name: string, url?: string): Promise<Database> {
  const { identity } = openState(config.data).data
  // Nothing is signed before the agent is enrolled, and no command but that one makes its key.
  const key = identity ? enrolledKey(config.data) : generateSigningKey()
  return openDatabase(config, name, { agent: identity?.agent ?? '', key, logger: pino({ enabled: false }) }, url)
}

/** The newest policy: from the running agent, else from the hub, else the saved one. Undefined before the first. */
export async function freshPolicy(config: AgentConfig, version: string): Promise<Policy | undefined> {
  const state = openState(config.data)
  const keeper = new PolicyStore(
    state,
    () => new Date(),
    () => undefined,
  )
  if (await callControl(config.data, 'ping')) return keeper.policy
  const hub = openHub(config)
  try {
    const report = new StatusBoard(version, randomUUID()).report(0)
    const request = { policy: keeper.serial, routes: [], heads: [], report, command: true, wait: 0 }
    const { header } = await hub.poll(request, AbortSignal.timeout(20_000))
    if (header.policy) keeper.take(header.policy)
  } catch (error) {
    if (!keeper.policy) throw error
  } finally {
    await hub.close()
  }
  return keeper.policy
}
