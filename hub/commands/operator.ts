import { errorForLog } from '../../protocol/errors.ts'
import { giveBackMemory } from '../../protocol/memory.ts'
import type { Health } from '../records/problem.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { shownTime } from '../../protocol/local-time.ts'
import { healthWords, tableWords, wordFor } from '../records/words.ts'
import type { TableStatus } from '../tables/records.ts'
import { table, type Command } from './command.ts'
import type { ClockState } from '../supervision/clock-watch.ts'
import type { Explanation } from '../lines/line.ts'

/** What the operator of the hub's machine does. */
export const operatorCommands: readonly Command[] = [
  {
    name: 'start',
    arguments: [],
    text: { zh: '启动中心，直到收到 SIGTERM 或 Ctrl-C', en: 'run the hub until SIGTERM or Ctrl-C' },
    options: {
      'new-authority': {
        type: 'boolean',
        text: {
          zh: '原证书颁发机构已丢失：启用新的（各代理须重新登记）',
          en: 'the old certificate authority is lost: take a new one (agents must enrol again)',
        },
      },
    },
    async run({ config, absent, hint }, _arguments, { 'new-authority': newAuthority }) {
      if (absent !== undefined)
        hint({
          zh: `没有配置文件 ${absent}，也未以 --config 指定：按默认设置启动，数据目录 ${config.data}`,
          en: `There is no configuration file ${absent}, and --config names none: defaults hold, with data folder ${config.data}`,
        })
      // Loaded here: the other commands need nothing of it and should answer quickly.
      const [{ startHub }, { default: pino }] = await Promise.all([import('../hub.ts'), import('pino')])
      const timestamp = pino.stdTimeFunctions.isoTime
      const logger = pino({ level: config.logLevel, base: null, timestamp, serializers: { err: errorForLog } }, pino.destination(1))
      const stop = stopSignal()
      const hub = await startHub(config, { logger, newAuthority: newAuthority === true })
      giveBackMemory()
      hint({
        zh: `中心已启动：${hub.urls.join(' ')}\n数据目录：${config.data}`,
        en: `The hub is running: ${hub.urls.join(' ')}\nData folder: ${config.data}`,
      })
      if (hub.firstAdmin) hint(firstAdminText(hub.firstAdmin.link, shownTime(hub.firstAdmin.expires)))
      const lost = await Promise.race([stop, hub.lost])
      await hub.close()
      if (lost) throw lost
    },
  },
  {
    name: 'first-admin',
    arguments: [],
    text: { zh: '尚无系统管理员时，生成首个管理员的激活链接', en: 'while there is no system administrator: a link that makes the first' },
    async run({ api, show, language }) {
      const made = await api.post<{ link: string; expires: string }>('/admin/v1/first-admin')
      show(made, firstAdminText(made.link, shownTime(made.expires))[language])
    },
  },
  {
    name: 'reset-admin',
    arguments: ['LOGIN'],
    text: {
      zh: '系统管理员无法登录时：重设口令的新链接，并取消其动态验证码；记入审计，并告知安全、审计管理员',
      en: 'a system administrator who cannot sign in any more: a new link, the second factor off; on record, the other administrators are told',
    },
    async run({ api, show, language }, [login]) {
      const made = await api.post<{ link: string; expires: string }>('/admin/v1/reset-admin', { login })
      show(made, resetText(made.link, shownTime(made.expires))[language])
    },
  },
  {
    name: 'explain',
    arguments: ['ROUTE'],
    text: { zh: '说明一条交换路由现在的情况', en: 'say how a route stands, and why' },
    async run({ api, show, language }, [route]) {
      const explained = await api.get<Explanation>(`/admin/v1/routes/${encodeURIComponent(route!)}/explain`)
      const { showExplanation } = await import('../lines/explain.ts')
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
    name: 'table list',
    arguments: [],
    text: { zh: '列出资源表：供查询、接口和开放使用的数据副本', en: 'list the resource tables, which query, API and open data read' },
    async run({ api, show, language }) {
      const { items } = await api.get<{ items: TableStatus[] }>('/admin/v1/tables')
      const headings = {
        zh: ['资源', '状态', '版本', '行数', '截至', '位置', '头部', '问题'],
        en: ['RESOURCE', 'STATE', 'VERSION', 'ROWS', 'AS OF', 'PLACE', 'HEAD', 'PROBLEM'],
      }
      const rows = items.map(({ resource, state, version, rows: count, asOf, place, head, fault }) => [
        resource,
        wordFor(tableWords, state)[language],
        String(version),
        String(count),
        asOf === null ? '-' : shownTime(new Date(asOf)),
        place ?? '-',
        head ?? '-',
        fault?.[language] ?? '-',
      ])
      show(items, table(headings[language], rows))
    },
  },
  {
    name: 'table rebuild',
    arguments: ['RESOURCE'],
    text: { zh: '由批次日志重建一个资源表，期间照常读取', en: 'make a resource table anew from the log; it is read meanwhile' },
    async run({ api, show, language }, [resource]) {
      const done = await api.post<{ resource: string }>(`/admin/v1/tables/${encodeURIComponent(resource!)}/rebuild`)
      show(done, { zh: `正在重建 ${resource}，进度见 table list`, en: `${resource} is being made anew: see table list` }[language])
    },
  },
  {
    name: 'clock show',
    arguments: [],
    text: {
      zh: '显示中心所依据的时间（时钟不可信时退出码为 1）',
      en: 'show the time that the hub goes by (exit code 1 where its clock is not believed)',
    },
    async run({ api, show }) {
      return showClock(show, await api.get<ClockState>('/admin/v1/clock'))
    },
  },
  {
    name: 'clock confirm',
    arguments: [],
    options: { reason: { type: 'string', value: 'TEXT', text: { zh: '理由，记入审计', en: 'the reason, which goes on record' } } },
    text: { zh: '确认服务器时钟无误', en: "say that the machine's clock is right" },
    async run({ api, show }, _arguments, { reason }) {
      return showClock(show, await api.post<ClockState>('/admin/v1/clock/confirm', { reason: reason ?? '' }))
    },
  },
  {
    name: 'health',
    arguments: [],
    text: { zh: '检查中心状况（有问题时退出码为 1）', en: 'check the hub (exit code 1 where something is wrong)' },
    async run({ api, show, language }) {
      const health = await api.get<Health>('/admin/v1/health')
      const lines = [...health.problems, ...health.paused].map((problem) => `${problem.code}  ${problem[language]}`)
      show(health, [wordFor(healthWords, health.status)[language], ...lines].join('\n'))
      return health.status === 'ok' ? 0 : 1
    },
  },
]

function firstAdminText(link: string, expires: string): LocalizedText {
  return {
    zh: `尚无系统管理员。请在 ${expires} 前由首个系统管理员在浏览器中打开此链接激活（只能用一次，请保密；过期可执行 qianzhi-hub first-admin 重新生成）：\n${link}`,
    en: `There is no system administrator yet. Let the first one open this link in a browser before ${expires} (it works once; keep it secret; qianzhi-hub first-admin makes a new one):\n${link}`,
  }
}

function resetText(link: string, expires: string): LocalizedText {
  return {
    zh: `请在 ${expires} 前凭此链接重设口令（只能用一次，请保密）；登录后须重新绑定动态验证码：\n${link}`,
    en: `Set the password by this link before ${expires} (it works once; keep it secret), then set up the second factor again:\n${link}`,
  }
}

function showClock(show: (value: object, text: string) => void, state: ClockState): number {
  const [now, wall, held] = [state.now, state.wall, state.heldSince].map((time) => shownTime(time))
  show(state, state.heldSince ? `QZ-CLOCK-JUMPED  ${now} ≠ ${wall} (${held})` : now!)
  return state.heldSince ? 1 : 0
}

/** JSON has no dates. */
function withDates(explained: Explanation): Explanation {
  const { source, hub, receiver, reconciled } = explained
  const date = (text: Date | null) => (text === null ? null : new Date(text))
  return {
    ...explained,
    source: { ...source, seen: date(source.seen) },
    hub: { ...hub, lastPush: date(hub.lastPush) },
    receiver: { ...receiver, seen: date(receiver.seen) },
    reconciled: { ...reconciled, equal: date(reconciled.equal) },
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
