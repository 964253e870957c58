import { QianzhiError } from '../../protocol/errors.ts'
import type { AgentConfig } from '../config/config.ts'
import { openHubClient } from './open-hub.ts'
import { carriedAgents, runGapCarrier, type GapCarrierDeps } from './carrier.ts'

interface CarriersDeps extends Pick<GapCarrierDeps, 'identity' | 'key' | 'board' | 'logger'> {
  config: AgentConfig
}

/** Starts to bring what the configuration says of agents inside one-way gaps; each has a connection of its own. Ends when aborted. */
export function runCarriers({ config, ...parts }: CarriersDeps, signal: AbortSignal): Promise<void>[] {
  return (config.carry ?? []).map(async ({ folder: name, back, grace = 60 }) => {
    const carried = carriedAgents(config.data)[name]
    if (carried === undefined) {
      const error = new QianzhiError('QZ-NOT-ENROLLED')
      return parts.logger.warn(
        { carry: name, code: error.code },
        `the agent inside is not enrolled: qianzhi-agent enroll --carry ${name} TOKEN`,
      )
    }
    const hub = openHubClient(config, parts.identity, parts.key, carried)
    const folder = config.databases[name]!.folder!
    const wayIn = back === undefined ? {} : { back: config.databases[back]!.folder! }
    await runGapCarrier({ ...parts, data: config.data, carried, name, folder, ...wayIn, grace: grace * 1000, hub }, signal)
    await hub.close()
  })
}
