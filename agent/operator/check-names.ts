import { same, type LocalizedText } from '../../protocol/localized.ts'
import type { Check } from '../database.ts'

const machine: Record<string, LocalizedText> = {
  enrolment: { zh: '登记', en: 'enrolment' },
  hub: { zh: '中心', en: 'hub' },
  clock: { zh: '时钟', en: 'clock' },
  policy: { zh: '策略', en: 'policy' },
  configuration: { zh: '配置', en: 'configuration' },
  route: { zh: '路由', en: 'route' },
  grant: { zh: '授权', en: 'grant' },
  columns: { zh: '列名对应', en: 'columns' },
}

/** Of a database or folder, whose name stands before them. */
const database: Record<string, LocalizedText> = {
  source: { zh: '来源', en: 'source' },
  sink: { zh: '落地', en: 'sink' },
  server: { zh: '服务器', en: 'server' },
  version: { zh: '版本', en: 'version' },
  primary: { zh: '主库', en: 'primary' },
  encoding: { zh: '编码', en: 'encoding' },
  clock: { zh: '时钟', en: 'clock' },
  'wake-up': { zh: '唤醒', en: 'wake-up' },
  rights: { zh: '权限', en: 'rights' },
  journal: { zh: '日志模式', en: 'journal' },
  connection: { zh: '连接', en: 'connection' },
  capture: { zh: '采集', en: 'capture' },
  file: { zh: '文件', en: 'file' },
  files: { zh: '文件', en: 'files' },
  folder: { zh: '目录', en: 'folder' },
  isolation: { zh: '隔离级别', en: 'isolation' },
  space: { zh: '空间', en: 'space' },
}

/** What a check of `doctor` is called: `route r`, or of the database `front`, `front source public.villages`. */
export function checkName(name: string): LocalizedText {
  const [first = '', second = '', ...rest] = name.split(' ')
  const [own, kind] = [machine[first], database[second]]
  // A database may be called as a check of the machine is; those with an object name it.
  if (kind && !(own && named.has(first))) return words({ zh: `${first} ${kind.zh}`, en: `${first} ${kind.en}` }, rest)
  return own ? words(own, [second, ...rest]) : same(name)
}

/** Checks as people and programs outside are told them. */
export function titled(checks: readonly Check[]): (Check & { title: LocalizedText })[] {
  return checks.map((check) => ({ ...check, title: checkName(check.name) }))
}

const named: ReadonlySet<string> = new Set(['route', 'grant', 'columns'])

function words({ zh, en }: LocalizedText, rest: readonly string[]): LocalizedText {
  const object = rest.filter((part) => part !== '').join(' ')
  return { zh: `${zh} ${object}`.trim(), en: `${en} ${object}`.trim() }
}
