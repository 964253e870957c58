/** What people read stands in both languages as a pair `{ zh, en }`: never both in one string, never English alone. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { sources } from './support/imports.ts'

const folders = ['protocol', 'hub', 'agent']

/** `'中文 / English'` in one string, with or without what is put in. */
const joined = /\p{Script=Han}[^'"`]*\/ [A-Za-z$'`]|zh\} \/ \$\{|['`] \/ ['`]/u

/** `reason: 'not found'`: a literal of words of ours in no Chinese; what is put in may be anything; before `|` it is a type. */
const english = /\b(?:(?:reason|what|operation): |(?:unfit|refuse)\(\w+, )(?:'([^']*)'(?! \|)|`((?:\$\{[^}]*\}|[^`])*)`)/gu

/** `状态 ${state}`: a name of ours, which has words in both languages, as it is in the code. */
const bare = /\p{Script=Han}[^'`]*\$\{(?:[\w.!?#]*[.!])?(?:state|event|outcome|step|operation|difference|became|mode)\}/u

/** `${count} rows`, which for one is none: `counted` writes it. */
const manyOfOne =
  /\$\{(?!limits\.)(?:[\w.!?]*\.)?(?:count|rows|keys|days|minutes|tried|quarantine|length)\} (?:rows|keys|tables|items|days|minutes|batches|resources|files)\b/

/** A call of the API, where people read what to do: it is a place of the console, or a command. */
const apiCall = /['`(（ ](?:GET|POST|PUT|PATCH|DELETE) \/[a-z]/

/** 中文 followed by ASCII punctuation; before a space it is syntax that the text shows (`{ 名称: 值 }`). */
const halfWidth = /[\p{Script=Han}”\uff09][,;:](?!\s)|\p{Script=Han}\((?!\\)/u

const exceptions = new Map([
  ['protocol/errors.ts', 'detailsToWire joins both for peers that do not know `texts`'],
  ['hub/operations/', 'examples of what people write'],
  ['agent/status/daily-report.ts', 'the log has its morning line in both'],
  ['agent/folders/rows/report.ts', 'headings of a table that goes with a file to whoever made it'],
])

function excepted(file: string): boolean {
  return Array.from(exceptions.keys()).some((path) => file.startsWith(path))
}

/** Lines of code, without comments. */
function code(file: string): [line: number, text: string][] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((text, i): [number, string] => [i + 1, text])
    .filter(([, text]) => !/^\s*(?:\/?\*|\/\/)/.test(text))
}

function isEnglish(text: string): boolean {
  const own = text.replaceAll(/\$\{[^}]*\}/g, '')
  const named = /^[a-z-]+\.[a-z-]+$|^\w+_\w+$|^\w+ = \w*$/.test(own)
  return !/\p{Script=Han}/u.test(own) && /[a-z]{3,}/.test(own) && !named
}

function found(wrong: (text: string) => boolean): string[] {
  const files = folders.flatMap(sources).filter((file) => !excepted(file))
  return files.flatMap((file) => code(file).flatMap(([line, text]) => (wrong(text) ? [`${file}:${line} ${text.trim()}`] : [])))
}

t.test('the look finds what it is for', async (t) => {
  for (const text of [
    "'不存在 / unknown'",
    '`无法写入(${why})/ not written`',
    '`无法读取 ${path} / cannot be read`',
    '`${zh} / ${en}`',
    "zh + ' / ' + en",
  ])
    t.match(text, joined, text)
  for (const text of ["'第 1/2 页'", "{ zh: '不存在', en: 'unknown' }", '`请安装到别处(如 /opt)`', '`/opt/${name}`'])
    t.notMatch(text, joined, text)
  t.ok(isEnglish('route ${id} has ended'))
  for (const text of ['没有 ${id}', 'HTTP ${status}', '${file}: ${why}', 'grant.suspend', 'read_only', 'Updateability = READ_ONLY'])
    t.notOk(isEnglish(text), text)
})

t.test('no text joins both languages', async (t) => {
  t.same(
    found((text) => joined.test(text)),
    [],
  )
})

t.test('no Chinese text holds a state, an event or a step as the code calls it', async (t) => {
  for (const text of ['`路由 ${route}:${step}`', '`未生效(${grant.state})`']) t.match(text, bare, text)
  t.notMatch('`未生效(${grantStates[grant.state].zh})`', bare)
  const servers = /^agent\/databases\//
  t.same(
    found((text) => bare.test(text)).filter((line) => !servers.test(line)),
    [],
  )
})

t.test('Chinese text has full-width punctuation', async (t) => {
  for (const text of ["'已停止,请重启'", '`无法读取:${why}`', '`请安装到别处(如 /opt)`']) t.match(text, halfWidth, text)
  for (const text of ["'已停止\uff0c请重启'", "['是', '否']", '{ 名称: 值 }', '--key 公钥[,公钥]']) t.notMatch(text, halfWidth, text)
  t.same(
    found((text) => halfWidth.test(text)),
    [],
  )
})

t.test('what is to be done is told by the console, or a command, and not by calls of the API', async (t) => {
  for (const text of ["'先申请（POST /applications）'", "'a user applies (POST /applications)'"]) t.match(text, apiCall, text)
  const told = ['protocol', 'agent'].flatMap(sources).flatMap((file) => code(file).map(([line, text]) => `${file}:${line} ${text.trim()}`))
  t.same(
    told.filter((text) => apiCall.test(text)),
    [],
  )
})

t.test('no English text says "1 rows"', async (t) => {
  t.match('`${count} rows`', manyOfOne)
  t.same(
    found((text) => manyOfOne.test(text) && !/this\.#status\.log|fetch next|offset /.test(text)),
    [],
  )
})

t.test('no reason is in English alone', async (t) => {
  const alone = (text: string) => Array.from(text.matchAll(english)).some(([, plain, template]) => isEnglish(plain ?? template ?? ''))
  t.same(found(alone), [])
})
