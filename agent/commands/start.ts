import { pino } from 'pino'
import { errorForLog } from '../../protocol/errors.ts'
import { startAgent } from '../agent.ts'
import { LogTail } from '../log-tail.ts'
import type { Command } from './command.ts'

/** Runs until SIGTERM, SIGINT or a Windows service stop. */
export const start: Command = async ({ config, version }) => {
  const destination = pino.destination({ dest: config.log?.file ?? 1, mkdir: true, sync: false })
  const options = { level: config.log?.level ?? 'info', base: { program: 'qianzhi-agent' }, serializers: { err: errorForLog } }
  const tail = new LogTail()
  const { level } = options
  const logger = pino(
    options,
    pino.multistream([
      { level, stream: destination },
      { level, stream: tail },
    ]),
  )
  const agent = await startAgent(config, logger, version, (lines) => tail.last(lines))
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGBREAK'] as const) process.once(signal, () => resolve())
  })
  await agent.stop()
  destination.flushSync()
  return 0
}
