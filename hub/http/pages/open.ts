/** The pages of open data: no script runs in them. */
import { shownTime } from '../../../protocol/local-time.ts'
import type { Language, LocalizedText } from '../../../protocol/localized.ts'
import { Html, markup } from '../../../protocol/markup.ts'
import type { OpenEntry } from '../../registry/catalog/open-entries.ts'
import { valueName } from '../../registry/catalog/labels.ts'
import { fileKinds, openPath } from '../../sharing/open-data.ts'
import type { Share } from '../../sharing/share.ts'
import type { ReadRow } from '../../tables/reader.ts'
import type { Page } from './page.ts'

type Say = (text: LocalizedText) => string

const title = { zh: '开放数据', en: 'Open data' }

/** Links stay in the language of the page. */
function link(language: Language, path: string, parameters: Record<string, string> = {}): string {
  const all = new URLSearchParams({ ...parameters, ...(language === 'en' && { lang: 'en' }) }).toString()
  return `${openPath}${path}${all === '' ? '' : `?${all}`}`
}

export interface Listed {
  entries: readonly OpenEntry[]
  total: number
  text: string
  page: number
  pageSize: number
}

export function listPage(listed: Listed, language: Language): Page {
  const { entries, total, text, page, pageSize } = listed
  const last = Math.max(1, Math.ceil(total / pageSize))
  const pageLink = (number: number, words: LocalizedText, say: Say) =>
    markup`<a href="${link(language, '', { ...(text !== '' && { text }), page: String(number) })}">${say(words)}</a> `
  return {
    title,
    body: (say) => markup`
<p>${say({
      zh: '各机关单位向社会开放的数据，无需登录即可查看、下载和使用，使用时请注明来源。',
      en: 'What the agencies have opened to the public: to be read, downloaded and used without an account. Please name the source.',
    })}</p>
<form method="get" action="${openPath}" role="search">${language === 'en' ? markup`<input type="hidden" name="lang" value="en">` : undefined}
<label for="text">${say({ zh: '检索（名称、摘要、关键词、单位）', en: 'Search titles, abstracts, keywords and agencies' })}</label>
<input id="text" name="text" type="search" maxlength="200" value="${text}"><button>${say({ zh: '检索', en: 'Search' })}</button></form>
<p>${say({ zh: `共 ${total} 个数据集`, en: `${total} data sets` })}</p>
<ul>${entries.map((entry) => listLine(entry, language, say))}</ul>
<nav>${page > 1 ? pageLink(page - 1, { zh: '上一页', en: 'Previous' }, say) : undefined}${
      page < last ? pageLink(page + 1, { zh: '下一页', en: 'Next' }, say) : undefined
    }<span class="muted">${say({ zh: `第 ${page} 页，共 ${last} 页`, en: `Page ${page} of ${last}` })}</span></nav>
<p class="muted"><a href="${openPath}/dcat.jsonld">DCAT-AP (JSON-LD)</a></p>`,
  }
}

function listLine({ code, agencyName, asOf, content }: OpenEntry, language: Language, say: Say): Html {
  const updated = { zh: `，${shownTime(asOf)} 更新`, en: `, updated ${shownTime(asOf)}` }
  return markup`<li><a href="${link(language, `/${code}`)}">${content.title}</a>
<span class="muted">${agencyName}${asOf ? say(updated) : undefined}</span></li>`
}

export interface Shown {
  entry: OpenEntry
  /** Undefined while its table is being made. */
  preview?: { share: Share; rows: readonly ReadRow[] }
  longest: { text: number; contact: number }
}

export function dataSetPage({ entry, preview, longest }: Shown, language: Language): Page {
  const { code, content, agencyName, openItems, asOf } = entry
  const { contact, temporal, openLicence, openWithConditions, cycle } = content
  const unsaid = { zh: '未注明', en: 'not said' }
  const facts = (say: Say): [LocalizedText, string | Html | undefined][] => [
    [{ zh: '来源单位', en: 'Source' }, agencyName],
    [{ zh: '许可', en: 'Licence' }, openLicence === undefined ? say(unsaid) : licence(openLicence)],
    [{ zh: '使用条件', en: 'Conditions' }, openWithConditions],
    [{ zh: '联系方式', en: 'Contact' }, contact && [contact.name, contact.phone, contact.email].filter(Boolean).join(',')],
    [{ zh: '更新周期', en: 'Updated' }, valueName('cycle', cycle, language)],
    [{ zh: '最近更新', en: 'Last update' }, asOf ? shownTime(asOf) : undefined],
    [{ zh: '时间范围', en: 'Period' }, temporal && [temporal.from ?? '', temporal.to ?? ''].join(' – ')],
    [{ zh: '行数', en: 'Rows' }, preview && String(preview.share.table.rows)],
  ]
  return {
    title: { zh: content.title, en: content.title },
    body: (say) => markup`
<p><a href="${link(language, '')}">${say({ zh: '全部开放数据', en: 'All open data' })}</a></p>
<p>${content.abstract}</p>
<dl>${facts(say).map(([name, value]) => (value === undefined ? new Html('') : markup`<dt>${say(name)}</dt><dd>${value}</dd>`))}</dl>
<h2>${say({ zh: '下载', en: 'Download' })}</h2>
<p>${fileKinds.map((kind) => markup`<a href="${link(language, `/${code}/data.${kind}`)}" download>${kind.toUpperCase()}</a> `)}
<a href="${openPath}/${code}/rows">${say({ zh: '数据接口（JSON）', en: 'API (JSON)' })}</a></p>
<h2>${say({ zh: '信息项', en: 'Items' })}</h2>
<div class="wide" role="region" tabindex="0" aria-label="${say({ zh: '信息项', en: 'Items' })}"><table><thead><tr><th>${say({ zh: '名称', en: 'Label' })}</th><th>${say({ zh: '标识', en: 'Id' })}</th><th>${say({ zh: '类型', en: 'Type' })}</th><th>${say({ zh: '说明', en: 'Description' })}</th></tr></thead>
<tbody>${openItems.map(
      ({ id, label, type, description }) =>
        markup`<tr><td>${label}</td><td><code>${id}</code></td><td>${valueName('type', type, language)}</td><td>${description}</td></tr>`,
    )}</tbody></table></div>
<h2>${say({ zh: '预览', en: 'Preview' })}</h2>
${preview ? previewTable(preview, say) : markup`<p class="muted">${say({ zh: '数据正在准备，请稍后再来。', en: 'The data is being prepared: come back later.' })}</p>`}
<h2>${say({ zh: '反馈', en: 'Feedback' })}</h2>
<form method="post" action="${link(language, `/${code}/feedback`)}">
<label for="text">${say({ zh: '数据有误或有建议，请告诉我们', en: 'Tell us what is wrong, or what you miss' })}</label>
<textarea id="text" name="text" rows="4" maxlength="${longest.text}" required></textarea>
<label for="contact">${say({ zh: '您的联系方式（可不填）', en: 'How to reach you (may be left out)' })}</label>
<input id="contact" name="contact" maxlength="${longest.contact}"><button>${say({ zh: '提交', en: 'Send' })}</button></form>`,
  }
}

function licence(text: string): string | Html {
  return /^https?:/.test(text) && URL.canParse(text) ? markup`<a href="${text}" rel="license nofollow">${text}</a>` : text
}

function previewTable({ share, rows }: NonNullable<Shown['preview']>, say: Say): Html {
  return markup`<div class="wide" role="region" tabindex="0" aria-label="${say({ zh: '预览', en: 'Preview' })}"><table><thead><tr>${share.items.map(({ label }) => markup`<th>${label}</th>`)}</tr></thead>
<tbody>${rows.map((row) => markup`<tr>${row.map((value) => markup`<td>${shortened(value)}</td>`)}</tr>`)}</tbody></table></div>`
}

const longestShown = 200

function shortened(value: string | null): string | undefined {
  if (value === null) return undefined
  return value.length > longestShown ? `${value.slice(0, longestShown).toWellFormed()}…` : value
}

/** The same for what is not open and for what there is not. */
export const absentPage: Page = {
  title: { zh: '没有这个数据集', en: 'There is no such data set' },
  body: (say) => markup`<p><a href="${openPath}">${say({ zh: '全部开放数据', en: 'All open data' })}</a></p>`,
  address: openPath,
}

export function thanksPage(code: string, language: Language): Page {
  return {
    title: { zh: '已收到', en: 'Received' },
    body: (say) => markup`<p>${say({ zh: '感谢反馈，已转提供单位和主管单位。', en: 'Thank you: the agency and the office have it.' })}</p>
<p><a href="${link(language, `/${code}`)}">${say({ zh: '返回', en: 'Back' })}</a></p>`,
    address: `${openPath}/${code}`,
  }
}
