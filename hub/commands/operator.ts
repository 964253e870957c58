import { errorForLog } from '../../protocol/errors.ts'
import type { Explanation } from '../explain.ts'
import type { Health } from '../health.ts'
import type { Command } from './command.ts'

/** What the operator of the hub's machine does. */
export const operatorCommands: readonly Command[] = [
  {
    name: 'start',
    arguments: [],
    text: { zh: '启动中心,直到收到 SIGTERM 或 Ctrl-C', en: 'run the hub until SIGTERM or Ctrl-C' },
    async run({ config, hint }) {
      // Loaded here: the other commands need nothing of it and should answer quickly.
      const [{ startHub }, { default: pino }] = await Promise.all([import('../hub.ts'), import('pino')])
      const timestamp = pino.stdTimeFunctions.isoTime
      const logger = pino({ level: config.logLevel, base: null, timestamp, serializers: { err: errorForLog } }, pino.destination(1))
      const stop = stopSignal()
      const hub = await startHub(config, { logger })
      hint({
        zh: `中心已启动:${hub.urls.join(' ')}\n数据目录:${config.data}`,
        en: `The hub is running: ${hub.urls.join(' ')}\nData folder: ${config.data}`,
      })
      const lost = await Promise.race([stop, hub.lost])
      await hub.close()
      if (lost) throw lost
    },
  },
  {
    name: 'explain',
    arguments: ['ROUTE'],
    text: { zh: '说明一条交换路由现在的情况', en: 'say how a route stands, and why' },
    async run({ api, show, language }, [route]) {
      const explained = await api.get<Explanation>(`/admin/v1/routes/${encodeURIComponent(route!)}/explain`)
      const { showExplanation } = await import('../explain.ts')
      show(explained, showExplanation(withDates(explained), language))
    },
  },
  {
    name: 'housekeeping',
    arguments: [],
    text: { zh: '立即整理批次日志', en: 'trim the batch logs now' },
    async run({ api, show }) {
      const done = await api.post<object>('/admin/v1/housekeeping')
      show(done, JSON.stringify(done))
    },
  },
  {
    name: 'health',
    arguments: [],
    text: { zh: '检查中心状况(有问题时退出码为 1)', en: 'check the hub (exit code 1 where something is wrong)' },
    async run({ api, show, language }) {
      const health = await api.health<Health>()
      const lines = health.problems.map((problem) => `${problem.code}  ${problem[language]}`)
      show(health, [health.status, ...lines].join('\n'))
      return health.status === 'ok' ? 0 : 1
    },
  },
]

/** JSON has no dates. */
function withDates(explained: Explanation): Explanation {
  const { source, hub, receiver } = explained
  const date = (text: Date | null) => (text === null ? null : new Date(text))
  return {
    ...explained,
    source: { ...source, seen: date(source.seen) },
    hub: { ...hub, lastPush: date(hub.lastPush) },
    receiver: { ...receiver, seen: date(receiver.seen) },
  }
}

/** Resolves at the first signal to stop; a second one ends the program at once. */
function stopSignal(): Promise<undefined> {
  return new Promise((resolve) => {
    let asked = false
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(1)
        asked = true
        resolve(undefined)
      })
    }
  })
}
