import { shownTime } from '../../protocol/local-time.ts'
import type { CheckpointFile } from '../../protocol/checkpoint.ts'
import { Checkpoints } from '../hub/checkpoints.ts'
import { callControl } from '../operator/control.ts'
import { openState, requireIdentity } from '../runtime/state.ts'
import type { Command } from './command.ts'

/** The checkpoints of the hub's audit that this agent holds; with --json as `qianzhi-hub audit verify --checkpoints` reads them. */
export const audit: Command = async ({ config, options, print, say }) => {
  const { agent, hubKey } = requireIdentity(openState(config.data))
  // What a running agent has not written down yet.
  await callControl(config.data, 'checkpoints')
  const checkpoints = [...Checkpoints.read(config.data)]
  if (options['json']) print(JSON.stringify({ agent, hubKey, checkpoints } satisfies CheckpointFile))
  else if (checkpoints.length === 0) say('中心尚未给出审计检查点', 'The hub has given no checkpoint of its audit yet')
  else for (const { seq, hash, time } of checkpoints) print(`${shownTime(time, config.timezone)}  ${seq}  ${hash}`)
  return 0
}
