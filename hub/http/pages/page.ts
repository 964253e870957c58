import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Html, markup } from '../../../protocol/markup.ts'
import type { Language, LocalizedText } from '../../../protocol/localized.ts'

/** The console's paper and ink. Colours have a contrast of at least 4.5 on their ground, light and dark. */
const style = `
:root { color-scheme: light dark; --text: #1c2126; --ground: #f7f6f3; --line: #767c84; --muted: #51575e; --bad: #b3261e; --good: #1d6b4a; --link: #1f4f86; }
@media (prefers-color-scheme: dark) { :root { --text: #e9ebee; --ground: #15181c; --line: #8b939c; --muted: #b2bac3; --bad: #ff9a9a; --good: #6fd58b; --link: #8cc0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1.25rem 3rem; max-width: 44rem; background: var(--ground); color: var(--text);
  font: 1rem/1.6 system-ui, "Microsoft YaHei", "PingFang SC", "Noto Sans CJK SC", sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; justify-content: space-between; }
h1 { font-size: 1.5rem; margin: .25rem 0; } a { color: var(--link); } .muted { color: var(--muted); } .good { color: var(--good); }
.bad { color: var(--bad); border-left: 4px solid; padding-left: .75rem; }
label { display: block; margin: 1rem 0 .25rem; } input, textarea { width: 100%; padding: .5rem; font: inherit; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: 3px; }
button { margin-top: 1.25rem; padding: .5rem 1.5rem; font: inherit; color: #fff; background: #1f4f86; border: 0; border-radius: 3px; cursor: pointer; }
.wide { overflow-x: auto; } table { border-collapse: collapse; } th, td { padding: .25rem .75rem; border: 1px solid var(--line); text-align: left; vertical-align: top; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; } dt { color: var(--muted); } dd { margin: 0; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; } code { overflow-wrap: anywhere; }
`

/**
 * Behind `#` nothing reaches the hub, nor its log: only the page itself can take the code out of the link. Without scripts it is typed in.
 */
export const takeCode = `
const code = location.hash.slice(1), form = document.querySelector('form[data-code]')
if (form && code) { history.replaceState(null, '', location.pathname + location.search); form.secret.value = decodeURIComponent(code); form.submit() }
`

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** What the pages hold is all that runs, and forms go to the hub alone. */
const policy = [
  `default-src 'none'`,
  `script-src ${hash(takeCode)}`,
  `style-src ${hash(style)}`,
  `form-action 'self'`,
  `base-uri 'none'`,
  `frame-ancestors 'none'`,
].join('; ')

export interface Page {
  title: LocalizedText
  body: (say: (text: LocalizedText) => string) => Html
  script?: string
  /** Where its other language is, if not at its own address: a path of this host. */
  address?: string
}

export function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  { title, body, script, address = request.url }: Page,
): FastifyReply {
  const language = languageOf(request)
  const say = (text: LocalizedText) => text[language]
  const other = language === 'zh' ? ('en' as const) : ('zh' as const)
  const there = new URL(address, 'https://host')
  there.searchParams.set('lang', other)
  const whole = markup`<!doctype html>
<html lang="${language === 'zh' ? 'zh-CN' : 'en'}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${say(title)}</title>
${raw('style', style)}</head>
<body><header><h1>${say(title)}</h1><a href="${there.pathname}${there.search}" lang="${other}">${{ zh: '中文', en: 'English' }[other]}</a></header>
<main>${body(say)}</main>${script === undefined ? undefined : raw('script', script)}</body>
</html>
`
  return reply
    .code(status)
    .headers({ 'content-security-policy': policy, 'cache-control': 'no-store', 'content-language': language, vary: 'accept-language' })
    .type('text/html; charset=utf-8')
    .send(whole.text)
}

function raw(element: 'style' | 'script', text: string): Html {
  return new Html(`<${element}>${text}</${element}>`)
}

/** Chinese, unless the page is asked for in English, or by a browser that wants English rather than Chinese. */
export function languageOf({ query, headers }: Pick<FastifyRequest, 'query' | 'headers'>): Language {
  const { lang } = query as { lang?: unknown }
  if (lang === 'zh' || lang === 'en') return lang
  const wanted = (headers['accept-language'] ?? '').split(',').map((range) => {
    const [name = '', quality = 'q=1'] = range.trim().split(/\s*;\s*/)
    return { name: name.toLowerCase().split('-')[0]!, weight: Number(quality.replace(/^q=/, '')) || 0 }
  })
  const weightOf = (name: Language) => Math.max(0, ...wanted.filter((one) => one.name === name).map(({ weight }) => weight))
  return weightOf('en') > weightOf('zh') ? 'en' : 'zh'
}
