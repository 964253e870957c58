import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import type { Agency } from '../registry/agencies/agencies.ts'
import type { ListedAgent } from '../registry/machines/agents.ts'
import type { Grant } from '../registry/grants/grants.ts'
import type { Resource } from '../registry/catalog/resources.ts'
import type { ListedRoute, Route } from '../registry/grants/routes.ts'
import { shownTime } from '../../protocol/local-time.ts'
import { agentStates, grantStates, keepWords, routeStates, wordFor } from '../records/words.ts'
import { table, type Command, type Given, type Option } from './command.ts'

const reason: Record<string, Option> = {
  reason: { type: 'string', value: 'TEXT', text: { zh: '理由，会告知接收方', en: 'the reason, which the receiver is told' } },
}

/** What the office does: each command is one request to the running hub. */
export const officeCommands: readonly Command[] = [
  {
    name: 'agency add',
    arguments: ['CODE', 'NAME'],
    text: { zh: '登记机关单位', en: 'register an agency' },
    async run({ api, show }, [code, name]) {
      const agency = await api.post<Agency>('/admin/v1/agencies', { code, name })
      show(agency, `${agency.code}  ${agency.name}`)
    },
  },
  {
    name: 'agency list',
    arguments: [],
    text: { zh: '列出机关单位', en: 'list the agencies' },
    async run({ api, show, language }) {
      const { items } = await api.get<{ items: Agency[] }>('/admin/v1/agencies')
      const headings = { zh: ['代码', '名称'], en: ['CODE', 'NAME'] }[language]
      show(
        items,
        table(
          headings,
          items.map(({ code, name }) => [code, name]),
        ),
      )
    },
  },
  {
    name: 'token',
    arguments: ['AGENCY'],
    options: { hours: { type: 'string', value: 'N', text: { zh: '有效小时数，默认 48', en: 'hours that it is good for, 48 by default' } } },
    text: { zh: '签发一次性登记令牌', en: 'issue a one-time enrolment token' },
    async run({ api, show, hint }, [agency], { hours }) {
      const issued = await api.post<{ token: string; expires: string }>('/admin/v1/tokens', { agency, hours: Number(hours ?? 48) })
      show(issued, issued.token)
      hint({
        zh: `请在 ${agency} 的前置机上执行：qianzhi-agent enroll <令牌>。令牌只能用一次，${shownTime(issued.expires)} 前有效，请保密。`,
        en: `On the front-end machine of ${agency} run: qianzhi-agent enroll <token>. It works once, until ${shownTime(issued.expires)}. Keep it secret.`,
      })
    },
  },
  {
    name: 'resource publish',
    arguments: ['FILE.yaml'],
    options: {
      keep: {
        type: 'string',
        value: 'store|relay',
        text: {
          zh: '中心保存数据（store，默认）或只转发（relay）',
          en: 'the hub keeps the rows (store, the default) or only passes them on (relay)',
        },
      },
      'store-closed': {
        type: 'string',
        value: 'ITEM,…',
        text: { zh: '不公开但同意存放在中心的信息项', en: 'closed items that the provider stores on the hub all the same' },
      },
      producer: {
        type: 'string',
        value: 'AGENT',
        text: { zh: '提供数据的代理；单位只有一个代理时不必写', en: 'the agent that supplies it; not needed where the agency has one' },
      },
      supply: {
        type: 'string',
        value: 'front-end|form|excel',
        text: {
          zh: '提供方式：前置机接入（默认）、在线表单录入、EXCEL导入',
          en: 'how rows come: from a front-end machine (the default), by online form, by workbook',
        },
      },
    },
    text: { zh: '发布或修改政务信息资源', en: 'publish a resource, or change it' },
    async run({ api, show }, [file], { keep, producer, supply: supplyMode, ...given }) {
      const stored = given['store-closed']
      const storedClosed = stored === undefined ? undefined : list(stored)
      const publication = { schema: await readYaml(file!), keep, producer, supplyMode, storedClosed }
      const resource = await api.post<Resource>('/admin/v1/resources', publication)
      show(resource, `${resource.code}  ${resource.schema.title}  v${resource.version}`)
    },
  },
  {
    name: 'resource list',
    arguments: [],
    text: { zh: '列出资源', en: 'list the resources' },
    async run({ api, show, language }) {
      const { items } = await api.get<{ items: Resource[] }>('/admin/v1/resources')
      const headings = { zh: ['资源', '名称', '单位', '版本', '保存'], en: ['RESOURCE', 'TITLE', 'AGENCY', 'VERSION', 'KEEP'] }[language]
      show(
        items,
        table(
          headings,
          items.map((r) => [r.code, r.schema.title, r.agency, r.version, wordFor(keepWords, r.keep)[language]]),
        ),
      )
    },
  },
  {
    name: 'grant add',
    arguments: [],
    options: {
      resource: { type: 'string', value: 'R', text: { zh: '资源', en: 'the resource' } },
      agency: { type: 'string', value: 'A', text: { zh: '接收单位', en: 'the agency that receives' } },
      items: { type: 'string', value: 'a,b', text: { zh: '信息项（主键总是包括在内）', en: 'items (the key always goes with them)' } },
      until: { type: 'string', value: 'DATE', text: { zh: '到期日（含当日）', en: 'the last day' } },
      'at-end': {
        type: 'string',
        value: 'keep|remove',
        text: { zh: '授权结束后，已交付的数据保留或清除', en: 'what becomes of delivered data' },
      },
      id: { type: 'string', value: 'ID', text: { zh: '授权编号，默认由中心编', en: 'its id; the hub makes one by default' } },
    },
    text: { zh: '登记授权', en: 'grant items of a resource to an agency' },
    async run({ api, show }, _, { resource, agency, items, until, id, 'at-end': atEnd }) {
      for (const [name, value] of Object.entries({ resource, agency, items })) if (value === undefined) throw missing(`--${name}`)
      const grant = await api.post<Grant>('/admin/v1/grants', { resource, agency, items: list(items), until, id, atEnd })
      show(grant, grant.id)
    },
  },
  {
    name: 'grant list',
    arguments: [],
    text: { zh: '列出授权', en: 'list the grants' },
    async run({ api, show, language }) {
      const { items } = await api.get<{ items: Grant[] }>('/admin/v1/grants')
      const headings = { zh: ['授权', '资源', '接收单位', '状态', '信息项'], en: ['GRANT', 'RESOURCE', 'AGENCY', 'STATE', 'ITEMS'] }[
        language
      ]
      show(
        items,
        table(
          headings,
          items.map((g) => [g.id, g.resource, g.agency, wordFor(grantStates, g.state)[language], g.items.join(',')]),
        ),
      )
    },
  },
  {
    name: 'grant items',
    arguments: ['GRANT', 'ITEMS'],
    text: { zh: '变更授权的信息项（逗号分隔）', en: 'change the items of a grant (separated by commas)' },
    async run({ api, show }, [id, items]) {
      const grant = await api.post<Grant>(`/admin/v1/grants/${encodeURIComponent(id!)}/items`, { items: list(items) })
      show(grant, `${grant.id}  ${grant.items.join(',')}`)
    },
  },
  grantVerb('suspend', { zh: '暂停授权', en: 'suspend a grant' }),
  grantVerb('resume', { zh: '恢复授权', en: 'resume a suspended grant' }),
  grantVerb('revoke', { zh: '撤销授权（不可恢复）', en: 'revoke a grant (for ever)' }),
  grantVerb('reinstate', { zh: '撤回有误的到期（授权期限未满）', en: 'undo an expiry that a wrong clock brought about' }),
  {
    name: 'route add',
    arguments: ['GRANT', 'AGENT'],
    text: { zh: '把授权绑定到接收方代理', en: 'bind a grant to the agent that receives' },
    async run({ api, show }, [grant, agent]) {
      const route = await api.post<Route>('/admin/v1/routes', { grant, agent })
      show(route, route.id)
    },
  },
  {
    name: 'route list',
    arguments: [],
    text: { zh: '列出交换路由', en: 'list the routes' },
    async run({ api, show, language }) {
      const { items } = await api.get<{ items: ListedRoute[] }>('/admin/v1/routes')
      const headings = {
        zh: ['路由', '资源', '代理', '状态', '位置', '最新', '隔离'],
        en: ['ROUTE', 'RESOURCE', 'AGENT', 'STATE', 'POSITION', 'HEAD', 'QUARANTINE'],
      }[language]
      show(
        items,
        table(
          headings,
          items.map((r) => [
            r.id,
            r.resource,
            r.agent,
            wordFor(routeStates, r.state)[language],
            place(r.epoch, r.seq),
            place(r.headEpoch, r.headSeq),
            r.quarantine,
          ]),
        ),
      )
    },
  },
  {
    name: 'agent list',
    arguments: [],
    text: { zh: '列出前置机代理', en: 'list the agents' },
    async run({ api, show, language }) {
      const { items } = await api.get<{ items: ListedAgent[] }>('/admin/v1/agents')
      const headings = {
        zh: ['代理', '单位', '名称', '状态', '最近联系', '早报'],
        en: ['AGENT', 'AGENCY', 'NAME', 'STATE', 'LAST SEEN', 'MORNING LINE'],
      }[language]
      show(
        items,
        table(
          headings,
          items.map((a) => [a.id, a.agency, a.name, wordFor(agentStates, a.state)[language], shownTime(a.lastSeen), morningOf(a)]),
        ),
      )
    },
  },
  {
    name: 'agent revoke',
    arguments: ['AGENT'],
    options: reason,
    text: { zh: '撤销代理：其供数与接收立即终止', en: 'revoke an agent: its supply and routes end at once' },
    async run({ api, show, language }, [agent], given) {
      const revoked = await api.post<{ id: string; state: string }>(`/admin/v1/agents/${encodeURIComponent(agent!)}/revoke`, because(given))
      show(revoked, `${revoked.id}  ${wordFor(agentStates, revoked.state)[language]}`)
    },
  },
]

function grantVerb(verb: string, text: Command['text']): Command {
  return {
    name: `grant ${verb}`,
    arguments: ['GRANT'],
    options: reason,
    text,
    async run({ api, show, language }, [id], given) {
      const grant = await api.post<Grant>(`/admin/v1/grants/${encodeURIComponent(id!)}/${verb}`, because(given))
      show(grant, `${grant.id}  ${wordFor(grantStates, grant.state)[language]}`)
    },
  }
}

/** `2026-11-24 7/8`: its day, and how many sources and routes are level. */
function morningOf({ morning }: ListedAgent): string | null {
  if (!morning) return null
  const { day, sources, routes } = morning
  return `${day} ${sources.level + routes.level}/${sources.all + routes.all}`
}

function because(given: Given): { reason?: string } {
  return typeof given['reason'] === 'string' ? { reason: given['reason'] } : {}
}

function list(value: string | boolean | undefined): string[] {
  return String(value)
    .split(/[,\uff0c]/)
    .map((part) => part.trim())
    .filter(Boolean)
}

function place(epoch: string | null, seq: string | null): string {
  return epoch === null ? '-' : `${epoch}/${seq}`
}

async function readYaml(file: string): Promise<unknown> {
  try {
    return parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new QianzhiError('QZ-SCHEMA', { reason: `${file}: ${reasonOf(error)}` }, { cause: error })
  }
}

function missing(option: string): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `缺少 ${option}`, en: `${option} is missing` } })
}
