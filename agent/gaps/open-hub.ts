import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import type { Policy } from '../../protocol/policy.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { AgentConfig } from '../config/config.ts'
import { gapOf } from '../config/gaps.ts'
import type { Hub } from '../hub.ts'
import { HubClient } from '../hub/client.ts'
import type { AgentState } from '../runtime/state.ts'
import { GapHub } from './hub.ts'

export interface HubDeps {
  config: AgentConfig
  identity: NonNullable<AgentState['identity']>
  key: SigningKey
  /** The policy in force. */
  policy: () => Policy | undefined
  logger: Logger
}

/** The hub, or the folders of a one-way gap that stand for it. */
export function openHub({ config, identity, key, policy, logger }: HubDeps): Hub {
  const gap = gapOf(config)
  if (gap) return new GapHub({ gap, identity, key, policy, data: config.data, logger, clock: () => new Date() })
  return openHubClient(config, identity, key)
}

/** The hub itself as an enrolled agent reaches it. */
export function openHubClient(config: AgentConfig, identity: HubDeps['identity'], key: SigningKey, carries?: string): HubClient {
  const ca = config.hub?.ca ? readFileSync(config.hub.ca, 'utf8') : identity.authority
  const urls = config.hub?.urls ?? identity.urls
  return new HubClient({ urls, key, ca, proxy: config.hub?.proxy, clock: () => new Date(), ...(carries !== undefined && { carries }) })
}
