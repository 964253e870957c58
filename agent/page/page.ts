import { createHash } from 'node:crypto'
import type { Language } from '../../protocol/errors.ts'
import type { AgentStatus, SinkStatus, SourceStatus } from '../agent-status.ts'
import { withoutValues } from '../log-tail.ts'
import type { Words } from '../remedies.ts'
import { StatusWords, type Fact } from '../status-words.ts'
import { html, Html } from './html.ts'
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
  const say = (words: Words): string => withoutValues(words[language])
  const words = new StatusWords(status)
  const held = [...status.sources, ...status.sinks].filter(({ state }) => state === 'held').length
  const mark = held > 0 ? say({ zh: `(${held} 条停住)`, en: `(${held} held) ` }) : ''
  const title = say({ zh: `前置机代理 ${status.agent}`, en: `Agent ${status.agent}` })
  const [other, otherName] = language === 'zh' ? ['en', 'English'] : ['zh', '中文']
  return html`<!doctype html>
<html lang="${language === 'zh' ? 'zh-CN' : 'en'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<title>${mark}${title}</title>
<style>${new Html(style)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p><a href="/?lang=${other}" lang="${other === 'zh' ? 'zh-CN' : 'en'}" hreflang="${other === 'zh' ? 'zh-CN' : 'en'}">${otherName}</a></p>
</header>
<p id="away" class="bad" role="alert" hidden>${say({ zh: '代理没有应答:以下是它最后一次的状态。', en: 'The agent does not answer: this is how it last was.' })}</p>
<main>
<p class="muted">${say({ zh: `时间 ${words.time(status.time).zh}(${status.timezone}),每 2 秒更新`, en: `${words.time(status.time).en} (${status.timezone}), renewed every 2 s` })}</p>
<section aria-labelledby="agent"><h2 id="agent">${say({ zh: '本机', en: 'This machine' })}</h2>
<dl>${words.agent().map((fact) => html`<div><dt>${say(fact.name)}</dt><dd class="${fact.tone ?? ''}">${say(fact.value)}</dd></div>`)}</dl></section>
${lines('sources', { zh: '来源', en: 'Sources' }, status.sources.map((source) => ({ ...nameOf(source), line: source, facts: words.source(source) })))}
${lines('sinks', { zh: '落地', en: 'Sinks' }, status.sinks.map((sink) => ({ ...nameOf(sink), line: sink, facts: words.sink(sink) })))}
</main>
<script>${new Html(script)}</script>
</body>
</html>
`.text

  function lines(id: string, heading: Words, all: Line[]): Html {
    const body = all.length === 0 ? html`<p>${say({ zh: '没有配置。', en: 'None is configured.' })}</p>` : table(id, all)
    return html`<section aria-labelledby="${id}"><h2 id="${id}">${say(heading)}</h2>${body}</section>`
  }

  function table(id: string, all: Line[]): Html {
    const names = all[0]!.facts.map(({ name }) => html`<th scope="col">${say(name)}</th>`)
    return html`<div class="wide" role="region" aria-labelledby="${id}" tabindex="0"><table>
<thead><tr><th scope="col">${say({ zh: '名称', en: 'Name' })}</th>${names}</tr></thead>
<tbody>${all.map(row)}</tbody></table></div>`
  }

  function row({ name, place, line, facts }: Line): Html {
    const cells = facts.map(({ value, tone }) => html`<td class="${tone ?? ''}">${say(value)}</td>`)
    return html`<tr><th scope="row">${name}<br><span class="muted">${place}</span></th>${cells}</tr>${fault(line, facts.length)}`
  }

  /** Below its line, as long as it lasts; and the last one that is over. */
  function fault({ lastFault }: Line['line'], width: number): Html {
    if (!lastFault) return html``
    const over = say({ zh: '此前的故障(已恢复):', en: 'Was held before: ' })
    const text = say(words.fault(lastFault))
    return html`<tr class="fault"><td></td><td colspan="${width}" class="${lastFault.over ? 'muted' : 'bad'}">${lastFault.over ? over : ''}${text}</td></tr>`
  }
}

interface Line {
  name: string
  place: string
  line: SourceStatus | SinkStatus
  facts: Fact[]
}

function nameOf(line: SourceStatus | SinkStatus): { name: string; place: string } {
  if (!('route' in line)) return { name: line.resource, place: line.database }
  return { name: `${line.database} / ${line.table}`, place: `${line.resource} · ${line.route}` }
}
