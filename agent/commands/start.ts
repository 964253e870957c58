import { pino, type DestinationStream } from 'pino'
import { errorForLog } from '../../protocol/errors.ts'
import { giveBackMemory } from '../../protocol/memory.ts'
import { startAgent } from '../agent.ts'
import type { AgentConfig } from '../config/config.ts'
import { LiveConfig } from '../config/live-config.ts'
import { LogFile } from '../status/log-file.ts'
import { LogTail } from '../status/log-tail.ts'
import type { Command } from './command.ts'

/** Runs until SIGTERM, SIGINT or a Windows service stop. */
export const start: Command = async ({ options: { config: file }, version }) => {
  const live = new LiveConfig(String(file))
  const { config } = live
  const log = openLog(config)
  const options = {
    level: config.log?.level ?? 'info',
    base: { program: 'qianzhi-agent' },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: errorForLog },
  }
  const tail = new LogTail()
  const { level } = options
  const logger = pino(
    options,
    pino.multistream([
      { level, stream: log.stream },
      { level, stream: tail },
    ]),
  )
  const agent = await startAgent(live, logger, version, (lines) => tail.last(lines))
  const stopGiving = giveBackMemory()
  await new Promise<void>((resolve) => {
    for (const signal of stopSignals) process.once(signal, () => resolve())
  })
  stopGiving()
  await agent.stop()
  log.close()
  return 0
}

/** Ctrl+C and Ctrl+Break are what service wrappers on Windows send; SIGHUP is there a console that is closed, elsewhere nohup's. */
const stopSignals: readonly NodeJS.Signals[] = [
  'SIGTERM',
  'SIGINT',
  'SIGBREAK',
  ...(process.platform === 'win32' ? (['SIGHUP'] as const) : []),
]
const megabyte = 1 << 20

/** A file rolls and is never behind; standard output belongs to whoever runs the program. */
function openLog({ log = {}, timezone }: AgentConfig): { stream: DestinationStream; close: () => void } {
  if (log.file === undefined) {
    const stream = pino.destination({ dest: 1, sync: false })
    return { stream, close: () => stream.flushSync() }
  }
  const stream = new LogFile({
    file: log.file,
    size: (log.size ?? 20) * megabyte,
    days: log.days ?? 14,
    files: log.files ?? 20,
    timezone,
    now: () => new Date(),
  })
  return { stream, close: () => stream.close() }
}
