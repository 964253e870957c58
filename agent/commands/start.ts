import { pino } from 'pino'
import { errorForLog } from '../../protocol/errors.ts'
import { startAgent } from '../agent.ts'
import type { Command } from './command.ts'

/** Runs until SIGTERM, SIGINT or a Windows service stop. */
export const start: Command = async ({ config, version }) => {
  const destination = pino.destination({ dest: config.log?.file ?? 1, mkdir: true, sync: false })
  const options = { level: config.log?.level ?? 'info', base: { program: 'qianzhi-agent' }, serializers: { err: errorForLog } }
  const logger = pino(options, destination)
  const agent = await startAgent(config, logger, version)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGBREAK'] as const) process.once(signal, () => resolve())
  })
  await agent.stop()
  destination.flushSync()
  return 0
}
