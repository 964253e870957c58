import type { SettledFile, SnapshotProgress } from '../../protocol/api.ts'
import { localTime } from '../../protocol/local-time.ts'
import { stopText } from '../../protocol/policy.ts'
import { showPosition } from '../../protocol/position.ts'
import { counted, joinTexts, same, type LocalizedText } from '../../protocol/localized.ts'
import type { AgentStatus, SinkStatus, SourceStatus, ToldFault } from './agent-status.ts'
import { stateNames } from './line-states.ts'

/** One thing that is told of the agent or a line, as words; `status` prints them, the page makes cells of them. */
export interface Fact {
  name: LocalizedText
  value: LocalizedText
  /** Where it is no plain number or time: whether that is good. */
  tone?: 'good' | 'warn' | 'bad'
  /** Told below a line's others, and only where it is known. */
  minor?: true
}

/** What goes its way has no colour of warning: a first load takes its time. */
const tones = { starting: undefined, flowing: 'good', loading: undefined, held: 'bad', paused: 'warn' } as const

/** Milliseconds that a change may wait before that is remarkable. */
const longWait = 10 * 60_000

/** Milliseconds from which on a clock is not well: what is signed, delivered and judged by it is wrong. */
export const wrongClock = 10 * 60_000

/** What is not known, or does not apply. */
export const unknown: LocalizedText = same('–')

const fact = (zh: string, en: string, value: LocalizedText, tone?: Fact['tone']): Fact => ({
  name: { zh, en },
  value,
  ...(tone && { tone }),
})
const minor = (told: Fact): Fact => ({ ...told, minor: true })
const count = (number: number): LocalizedText => same(number.toLocaleString('en-US'))

/** A length of time in milliseconds, in its two largest units. */
export function span(milliseconds: number): LocalizedText {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), '天', 'd'],
    [Math.floor(seconds / 3600) % 24, '小时', 'h'],
    [Math.floor(seconds / 60) % 60, '分', 'min'],
    [seconds % 60, '秒', 's'],
  ] as const
  const first = parts.findIndex(([number]) => number > 0)
  const shown = first < 0 ? [parts[3]] : parts.slice(first, first + 2).filter(([number]) => number > 0)
  const words = (i: 1 | 2) => shown.map((part) => `${part[0]} ${part[i]}`).join(' ')
  return { zh: words(1), en: words(2) }
}

/** Routes without a line that get nothing until somebody acts; what has ended for good waits for nothing. */
export function openStops({ stopped = [] }: Pick<AgentStatus, 'stopped'>): number {
  return stopped.filter(({ over }) => !over).length
}

/** Says things of one status: its times are of one zone and one moment. */
export class StatusText {
  readonly #status: AgentStatus
  readonly #now: number

  constructor(status: AgentStatus) {
    this.#status = status
    this.#now = Date.parse(status.time)
  }

  time(time: string | undefined): LocalizedText {
    return time === undefined || Number.isNaN(Date.parse(time)) ? unknown : same(localTime(new Date(time), this.#status.timezone))
  }

  #age(time: string): LocalizedText {
    return span(this.#now - Date.parse(time))
  }

  agent(): Fact[] {
    const { agent, agency, version, started, receiptsDue, sources, sinks } = this.#status
    const held = [...sources, ...sinks].filter(({ state }) => state === 'held').length
    const lines = count(sources.length + sinks.length)
    const machine = [this.#hub(), this.#clock(), this.#policy(), ...this.#configuration()]
    const state =
      held > 0
        ? { zh: `${lines.zh} 条线路中 ${held} 条停住`, en: `${held} of ${counted(lines.en, 'line')} held` }
        : { zh: `${lines.zh} 条线路，无停住`, en: `${counted(lines.en, 'line')}, none is held` }
    const waiting = openStops(this.#status)
    const stops = { zh: `；另有 ${waiting} 条路由停止交付`, en: `; besides, ${counted(waiting, 'route')} stopped` }
    const lead = waiting > 0 ? joinTexts([state, stops], '') : state
    const bad = [...machine, this.#disk()].filter(({ tone }) => tone === 'bad').map(({ name }) => name)
    const besides = joinTexts([lead, joinTexts(bad, { zh: '、', en: ', ' })], { zh: '；异常：', en: '; not well: ' })
    return [
      fact('总体', 'Overall', bad.length > 0 ? besides : lead, held + bad.length > 0 ? 'bad' : waiting > 0 ? 'warn' : 'good'),
      fact('前置机代理', 'Agent', { zh: `${agent}（${agency}）`, en: `${agent} (${agency})` }),
      fact('版本与已运行时间', 'Version and uptime', {
        zh: `${version}，${this.#age(started).zh}`,
        en: `${version}, ${this.#age(started).en}`,
      }),
      ...machine,
      this.#stopped(),
      fact('待回执的路由', 'Routes with receipts due', count(receiptsDue)),
      this.#disk(),
      this.#page(),
      this.#morning(),
    ].flat()
  }

  #hub(): Fact {
    const { url, answered, fault } = this.#status.hub
    const last = answered ? this.#age(answered) : undefined
    const value = {
      zh: `${url}，${last ? `${last.zh}前应答` : '尚未应答'}`,
      en: `${url}, ${last ? `answered ${last.en} ago` : 'has not answered yet'}`,
    }
    if (!fault) return fact('中心', 'Hub', value, answered ? 'good' : 'warn')
    const { zh, en } = this.fault(fault)
    return fact('中心', 'Hub', { zh: `${value.zh}；${zh}`, en: `${value.en}; ${en}` }, 'bad')
  }

  #clock(): Fact {
    const offset = this.#status.clockOffset
    const way = offset > 0 ? { zh: '慢', en: 'behind' } : { zh: '快', en: 'ahead' }
    const { zh, en } = span(Math.abs(offset))
    const value =
      Math.abs(offset) < 1000 ? { zh: '一致', en: 'equal' } : { zh: `本机${way.zh} ${zh}`, en: `this machine is ${en} ${way.en}` }
    return fact(
      '与中心时钟',
      "Clock against the hub's",
      value,
      Math.abs(offset) < 60_000 ? 'good' : Math.abs(offset) < wrongClock ? 'warn' : 'bad',
    )
  }

  #policy(): Fact {
    const { policy } = this.#status
    if (!policy) return fact('策略', 'Policy', { zh: '尚未收到', en: 'none yet' }, 'warn')
    const until = this.time(policy.expires)
    const state = policy.valid ? { zh: '有效至', en: 'valid until' } : { zh: '已过期于', en: 'expired at' }
    const value = { zh: `第 ${policy.serial} 号，${state.zh} ${until.zh}`, en: `serial ${policy.serial}, ${state.en} ${until.en}` }
    return fact('策略', 'Policy', value, policy.valid ? 'good' : 'bad')
  }

  #configuration(): Fact[] {
    const { configuration } = this.#status
    if (!configuration) return []
    const { since, fault, waiting } = configuration
    const at = this.time(since)
    const read = { zh: `${at.zh} 读取`, en: `read ${at.en}` }
    if (fault) {
      const { zh, en } = this.fault(fault)
      const kept = {
        zh: `文件已改动但有误，仍按 ${at.zh} 读取的运行：${zh}`,
        en: `the file was changed and is not taken up, that of ${at.en} stays in force: ${en}`,
      }
      return [fact('配置', 'Configuration', kept, 'bad')]
    }
    if (!waiting) return [fact('配置', 'Configuration', read, 'good')]
    const keys = waiting.join(', ')
    const value = { zh: `${read.zh}；${keys} 须重启代理后生效`, en: `${read.en}; ${keys}: changed, from the next start of the agent on` }
    return [fact('配置', 'Configuration', value, 'warn')]
  }

  #disk(): Fact {
    const { disk } = this.#status
    if (!disk) return fact('数据目录磁盘', 'Disk of the data folder', unknown)
    const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(1)
    const value = { zh: `剩余 ${gib(disk.free)} GiB（共 ${gib(disk.size)} GiB）`, en: `${gib(disk.free)} of ${gib(disk.size)} GiB free` }
    return fact('数据目录磁盘', 'Disk of the data folder', value, disk.low ? 'bad' : 'good')
  }

  #page(): Fact[] {
    const { url, fault } = this.#status.page
    if (url) return [fact('状态页', 'Status page', same(url))]
    if (!fault) return []
    return [fact('状态页', 'Status page', { zh: `未能打开：${fault}`, en: `could not be served: ${fault}` }, 'warn')]
  }

  /** Where nothing is configured by name, the reason would be told nowhere else. */
  #stopped(): Fact[] {
    const { stopped = [] } = this.#status
    if (stopped.length === 0) return []
    const told = stopped.slice(0, 5).map((stop) => {
      const { zh, en } = stopText(stop, this.#status.timezone)
      const next = stop.next ? { zh: `。${stop.next.zh}`, en: `. ${stop.next.en}` } : same('')
      return { zh: `${stop.resource} ${zh}${next.zh}`, en: `${stop.resource} ${en}${next.en}` }
    })
    const rest = stopped.length > told.length ? ['…'] : []
    const waits = openStops(this.#status) > 0 ? 'warn' : undefined
    return [fact('已停止的路由', 'Stopped routes', joinTexts([...told, ...rest], { zh: '；', en: '; ' }), waits)]
  }

  #morning(): Fact {
    const { lastMorning: line } = this.#status
    if (!line) return fact('早报', 'Morning line', unknown)
    const { sources, routes, waiting, quarantine, held } = line
    const when = this.time(line.time)
    const value = {
      zh: `${when.zh}：来源清空 ${sources.level}/${sources.all}，路由一致 ${routes.level}/${routes.all}，待发 ${waiting}，隔离 ${quarantine}，停住 ${held}`,
      en: `${when.en}: nothing waits in ${sources.level} of ${sources.all} sources, ${routes.level} of ${routes.all} routes level, ${waiting} waiting, quarantine ${quarantine}, held ${held}`,
    }
    return fact('早报', 'Morning line', value, held > 0 ? 'bad' : 'good')
  }

  /** The first is its state; the others in the same order for every source. */
  source(source: SourceStatus): Fact[] {
    const { waiting, oldest, snapshot, lastPush, quarantine, warned, unchanged, scan, files } = source
    const age = oldest ? this.#age(oldest) : undefined
    const late = oldest !== undefined && this.#now - Date.parse(oldest) > longWait
    const load = snapshot ? progress(snapshot) : unknown
    const notes = [
      ...(unchanged
        ? [{ zh: `${unchanged} 行未变化、不必重发`, en: `${counted(unchanged, 'row')} as sent before and not sent again` }]
        : []),
      ...(files ? this.#files(files) : []),
      ...(warned ? [{ zh: `核验提醒 ${warned} 行`, en: `a check warned of ${counted(warned, 'row')}` }] : []),
    ]
    return [
      stateOf(source),
      fact('待发', 'Waiting', count(waiting), late ? 'warn' : undefined),
      fact('最早变更', 'Oldest change', age ? { zh: `${age.zh}前`, en: `${age.en} ago` } : unknown),
      this.#rate(source),
      fact('启动后已发行', 'Rows sent since start', count(source.rows)),
      fact('最近推送', 'Last push', this.time(lastPush)),
      fact('隔离', 'Quarantine', count(quarantine), quarantine > 0 ? 'warn' : undefined),
      minor(fact('快照', 'Snapshot', load)),
      minor(fact('最近扫描', 'Last scan', this.time(scan?.last ?? files?.looked))),
      minor(this.#reconciled(source)),
      minor(fact('位置', 'Position', source.position ? same(showPosition(source.position)) : unknown)),
      minor(fact('备注', 'Notes', notes.length > 0 ? joined(notes) : unknown)),
    ]
  }

  sink(sink: SinkStatus): Fact[] {
    const { lastApplied, quarantine } = sink
    return [
      stateOf(sink),
      this.#level(sink),
      this.#rate(sink),
      fact('启动后已写行', 'Rows written since start', count(sink.rows)),
      fact('最近写入', 'Last applied', this.time(lastApplied)),
      fact('隔离', 'Quarantine', count(quarantine), quarantine > 0 ? 'warn' : undefined),
      minor(this.#reconciled(sink)),
      minor(fact('位置', 'Position', sink.position ? same(showPosition(sink.position)) : unknown)),
      minor(fact('备注', 'Notes', this.#inside(sink))),
    ]
  }

  /** Rows are on their way all the time: what has not been level for long is remarkable. */
  #level({ level, reached }: SinkStatus): Fact {
    const name = ['与提供方', 'Against the provider'] as const
    if (!reached) return fact(...name, unknown)
    const at = this.time(reached)
    if (level) return fact(...name, { zh: `一致，核对于 ${at.zh}`, en: `level, confirmed ${at.en}` }, 'good')
    if (this.#now - Date.parse(reached) <= longWait)
      return fact(...name, { zh: `接收中，一致于 ${at.zh}`, en: `receiving, was level at ${at.en}` })
    return fact(...name, { zh: `落后，曾一致于 ${at.zh}`, en: `behind, was level at ${at.en}` }, 'warn')
  }

  /** Of a route through a one-way gap: what is known of the inside. */
  #inside({ confirmed, unconfirmed }: SinkStatus): LocalizedText {
    const at = this.time(confirmed?.time)
    const age = unconfirmed ? this.#age(unconfirmed) : undefined
    const notes = [
      ...(confirmed
        ? [
            {
              zh: `网闸内侧已应用至 ${showPosition(confirmed)}（${at.zh}）`,
              en: `applied inside the gap up to ${showPosition(confirmed)} (${at.en})`,
            },
          ]
        : []),
      ...(age ? [{ zh: `内侧未确认的最早批次已等 ${age.zh}`, en: `the oldest batch not confirmed from inside has waited ${age.en}` }] : []),
    ]
    return notes.length > 0 ? joined(notes) : unknown
  }

  /** Of a folder: how many files there are, and the last ones. */
  #files({ waiting, taken, refused, settled = [], untaken = [] }: NonNullable<SourceStatus['files']>): LocalizedText[] {
    const last = (zh: string, en: string, file: SettledFile | undefined): LocalizedText[] => {
      if (!file) return []
      const at = this.time(file.time).en + (file.code ? ` ${file.code}` : '')
      return [{ zh: `${zh} ${file.file}（${at}）`, en: `${en} ${file.file} (${at})` }]
    }
    return [
      {
        zh: `文件：待收 ${waiting}，已接收 ${taken}，已退回 ${refused}`,
        en: `files: ${waiting} lie in the folder, ${taken} were taken, ${refused} refused`,
      },
      ...last(
        '最近接收',
        'last taken',
        settled.find(({ code }) => code === undefined),
      ),
      ...last(
        '最近退回',
        'last refused',
        settled.find(({ code }) => code !== undefined),
      ),
      ...untaken.map(({ file, reason }) => ({ zh: `未接收 ${file}：${reason.zh}`, en: `not taken: ${file}: ${reason.en}` })),
    ]
  }

  #rate({ rate }: SourceStatus | SinkStatus): Fact {
    const value = rate === undefined ? unknown : { zh: `${count(rate).zh} 行/秒`, en: `${count(rate).en} rows/s` }
    return fact('速率（近一分钟）', 'Rate (last minute)', value)
  }

  #reconciled({ reconciled }: SourceStatus | SinkStatus): Fact {
    if (!reconciled) return fact('最近对账', 'Last reconciliation', unknown)
    const { zh, en } = this.time(reconciled.time)
    const result = reconciled.equal ? { zh: '一致', en: 'equal' } : { zh: '不一致', en: 'different' }
    return fact(
      '最近对账',
      'Last reconciliation',
      { zh: `${zh} ${result.zh}`, en: `${en} ${result.en}` },
      reconciled.equal ? 'good' : 'bad',
    )
  }

  /** A fault's code, text, since when, and what to do. */
  fault({ code, zh, en, since, remedy }: ToldFault): LocalizedText {
    const at = this.time(since)
    return { zh: `${code} ${zh}（自 ${at.zh}）。${remedy.zh}`, en: `${code} ${en} (since ${at.en}). Remedy: ${remedy.en}` }
  }
}

function stateOf({ state }: SourceStatus | SinkStatus): Fact {
  return fact('状态', 'State', stateNames[state], tones[state])
}

function progress({ rows, total, rate, left, waits }: SnapshotProgress): LocalizedText {
  const known = rate !== undefined && left !== undefined
  const share = total > 0 ? Math.min(100, Math.floor((rows / total) * 100)) : 0
  const zh = waits ? '，等待允许的时段' : `（${share}%）${known ? `，每秒 ${rate} 行，约剩 ${span(left * 1000).zh}` : ''}`
  const en = waits ? ', waits for its hours' : ` (${share}%)${known ? `, ${rate} rows/s, about ${span(left * 1000).en} left` : ''}`
  return { zh: `${rows}/${total} 行${zh}`, en: `${rows} of ${total} rows${en}` }
}

function joined(words: readonly LocalizedText[]): LocalizedText {
  return { zh: words.map(({ zh }) => zh).join('；'), en: words.map(({ en }) => en).join('; ') }
}
