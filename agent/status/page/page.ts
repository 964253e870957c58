import { createHash } from 'node:crypto'
import type { Language } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { AgentStatus, SinkStatus, SourceStatus } from '../agent-status.ts'
import { withoutValues } from '../log-tail.ts'
import { StatusText, unknown, type Fact } from '../status-text.ts'
import { Html, markup } from '../../../protocol/markup.ts'
import { script } from './script.ts'
import { style } from './style.ts'

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Only what the page itself holds runs, and it may ask nobody but its own agent. */
export const contentPolicy = [
  `default-src 'none'`,
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  `connect-src 'self'`,
  `base-uri 'none'`,
  `form-action 'none'`,
  `frame-ancestors 'none'`,
].join('; ')

/** The whole page in one language. Shows counts, names, times and faults; no values of rows. */
export function renderPage(status: AgentStatus, language: Language): string {
  return new Page(status, language).whole().text
}

type Look = '' | 'held' | 'touched' | 'unknown'

const looks = {
  '': { zh: '正常', en: 'flows' },
  held: { zh: '停住', en: 'held' },
  touched: { zh: '未全', en: 'not complete' },
  unknown: { zh: '不明', en: 'not known here' },
} as const

const ends = [
  { zh: '提供', en: 'provider' },
  { zh: '平台', en: 'hub' },
  { zh: '获取', en: 'receiver' },
] as const

interface Line {
  name: string
  place: string[]
  line: SourceStatus | SinkStatus
  facts: Fact[]
}

function columnsOf(facts: readonly Fact[]): Fact[] {
  return facts.filter(({ minor }) => !minor)
}

class Page {
  readonly #status: AgentStatus
  readonly #language: Language
  readonly #words: StatusText

  constructor(status: AgentStatus, language: Language) {
    this.#status = status
    this.#language = language
    this.#words = new StatusText(status)
  }

  #say(words: LocalizedText): string {
    return withoutValues(words[this.#language])
  }

  whole(): Html {
    const { agent, sources, sinks } = this.#status
    const held = [...sources, ...sinks].filter(({ state }) => state === 'held').length
    const mark = held > 0 ? this.#say({ zh: `（${held} 条停住）`, en: `(${held} held) ` }) : ''
    const title = this.#say({ zh: `前置机代理 ${agent}`, en: `Agent ${agent}` })
    const away = { zh: '代理没有应答：以下是它最后一次的状态。', en: 'The agent does not answer: this is how it last was.' }
    return markup`<!doctype html>
      <html lang="${this.#language === 'zh' ? 'zh-CN' : 'en'}">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <noscript><meta http-equiv="refresh" content="10" /></noscript>
          <title>${mark}${title}</title>
          <style>${new Html(style)}</style>
        </head>
        <body>
          <header>
            <h1>${title}</h1>
            <p>${this.#otherLanguage()}</p>
          </header>
          <p id="away" class="bad" role="alert" hidden>${this.#say(away)}</p>
          <main>
            <p class="muted">${this.#when()}</p>
            ${this.#agent()} ${this.#sources()} ${this.#sinks()}
          </main>
          <script>${new Html(script)}</script>
        </body>
      </html>`
  }

  #otherLanguage(): Html {
    return this.#language === 'zh'
      ? markup`<a href="/?lang=en" lang="en" hreflang="en">English</a>`
      : markup`<a href="/?lang=zh" lang="zh-CN" hreflang="zh-CN">中文</a>`
  }

  #when(): string {
    const { time, timezone } = this.#status
    const { zh, en } = this.#words.time(time)
    return this.#say({ zh: `时间 ${zh}（${timezone}），每 2 秒更新`, en: `${en} (${timezone}), renewed every 2 s` })
  }

  #agent(): Html {
    const facts = this.#words.agent().map(
      ({ name, value, tone }) =>
        markup`<div>
          <dt>${this.#say(name)}</dt>
          <dd class="${tone ?? ''}">${this.#say(value)}</dd>
        </div>`,
    )
    const heading = this.#say({ zh: '本机', en: 'This machine' })
    return markup`<section>
      <h2 id="agent">${heading}</h2>
      <dl>${facts}</dl>
    </section>`
  }

  #sources(): Html {
    const lines = this.#status.sources.map((line) => ({
      name: line.title ?? line.resource,
      place: [...(line.title === undefined ? [] : [line.resource]), line.database],
      line,
      facts: this.#words.source(line),
    }))
    return this.#lines('sources', { zh: '来源', en: 'Sources' }, lines)
  }

  #sinks(): Html {
    const lines = this.#status.sinks.map((line) => ({
      name: line.title ?? (line.table || line.resource),
      place: [...(line.title === undefined ? [line.resource] : [line.table, line.resource]), line.database, line.route],
      line,
      facts: this.#words.sink(line),
    }))
    return this.#lines('sinks', { zh: '落地', en: 'Sinks' }, lines)
  }

  #lines(id: string, heading: LocalizedText, lines: readonly Line[]): Html {
    const none = markup`<p>${this.#say({ zh: '没有配置。', en: 'None is configured.' })}</p>`
    return markup`<section>
      <h2 id="${id}">${this.#say(heading)}</h2>
      ${lines.length === 0 ? none : this.#table(id, lines)}
    </section>`
  }

  /** Scrolls sideways by itself, by keyboard too. */
  #table(id: string, lines: readonly Line[]): Html {
    const heads = [{ zh: '名称', en: 'Name' }, ...columnsOf(lines[0]!.facts).map(({ name }) => name)]
    return markup`<div class="wide" role="region" aria-labelledby="${id}" tabindex="0">
      <table>
        <thead>
          <tr>
            ${heads.map((name) => markup`<th scope="col">${this.#say(name)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${lines.map((line) => this.#row(line))}
        </tbody>
      </table>
    </div>`
  }

  #row({ name, place, line, facts }: Line): Html {
    const columns = columnsOf(facts)
    const where = [...new Set(place.filter((part) => part !== ''))].join(' · ')
    // Its style puts a shape before the state, which is never a colour alone.
    const state = line.state === 'held' || line.state === 'flowing' ? line.state : 'other'
    const look = (tone: string | undefined, at: number) => (at === 0 ? `${tone ?? ''} is-${state}`.trim() : (tone ?? ''))
    return markup`<tr>
        <th scope="row">${name}<br /><span class="muted">${where}</span>${this.#chain(line)}</th>
        ${columns.map(({ value, tone }, at) => markup`<td class="${look(tone, at)}">${this.#say(value)}</td>`)}
      </tr>
      ${this.#more(facts, columns.length + 1)} ${this.#fault(line, columns.length + 1)}`
  }

  /** The sign of a line 链路条, as far as it is known here: the far end is told by the hub's console. */
  #chain(line: SourceStatus | SinkStatus): Html {
    const own: Look = line.state === 'held' ? 'held' : line.quarantine > 0 ? 'touched' : line.state === 'paused' ? 'unknown' : ''
    const hub: Look = this.#status.hub.fault ? 'held' : this.#status.hub.answered ? '' : 'unknown'
    const segments: Look[] = 'route' in line ? ['unknown', hub, own] : [own, hub, 'unknown']
    const told = segments.map((look, at) => `${this.#say(ends[at]!)} ${this.#say(looks[look])}`).join(' \u25b8 ')
    return markup`<span class="chain" role="img" aria-label="${told}" title="${told}">${segments.map((look) => markup`<i class="${look}"></i>`)}</span>`
  }

  /** What is known of the rest, below: as columns it would not fit. */
  #more(facts: readonly Fact[], width: number): Html {
    const known = facts.filter((one) => one.minor && one.value.en !== unknown.en)
    if (known.length === 0) return markup``
    const parts = known.map(
      ({ name, value, tone }) =>
        markup`<span><span class="muted">${this.#say(name)}</span> <span class="${tone ?? ''}">${this.#say(value)}</span></span> `,
    )
    return markup`<tr class="more">
      <td colspan="${width}"><div>${parts}</div></td>
    </tr>`
  }

  /** Below its line, as long as it lasts; and the last one that is over. */
  #fault({ lastFault }: Line['line'], width: number): Html {
    if (!lastFault) return markup``
    const over = lastFault.over ? this.#say({ zh: '此前的故障（已恢复）：', en: 'Was held before: ' }) : ''
    return markup`<tr class="fault">
      <td colspan="${width}">
        <div class="${lastFault.over ? 'muted' : 'bad'}">${over}${this.#say(this.#words.fault(lastFault))}</div>
      </td>
    </tr>`
  }
}
