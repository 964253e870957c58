/** People at work on a running hub, through its API as the console uses it: for tests with real programs and the demonstration. */
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { fromBase32, totp } from '../../hub/access/totp.ts'
import type { Role } from '../../hub/records/roles.ts'
import { decides } from './decisions.ts'
import { TestAgent, type AgentOptions, type Exchange } from './exchange.ts'

const insecure = new Agent({ connect: { rejectUnauthorized: false } })
/** Of everybody in a city. */
export const password = 'Zhuang-47.Hetao'

export type Json = Record<string, any>

/** Somebody who is signed in. Each call throws where it is refused. */
export class Person {
  readonly id: string
  readonly #url: string
  readonly #token: string

  constructor(url: string, id: string, token: string) {
    this.id = id
    this.#url = url
    this.#token = token
  }

  get(path: string): Promise<Json> {
    return send(this.#url, 'GET', path, undefined, this.#token)
  }

  /** Who decides looks at the case first, as the console does. */
  async post(path: string, body: object = {}): Promise<Json> {
    const seen = decides(path) ? ((await this.get(path.slice(0, path.lastIndexOf('/'))))['revision'] as string) : undefined
    return send(this.#url, 'POST', path, body, this.#token, seen)
  }

  put(path: string, body: object): Promise<Json> {
    return send(this.#url, 'PUT', path, body, this.#token)
  }

  upload(path: string, type: string, bytes: Buffer): Promise<Json> {
    return send(this.#url, 'POST', path, { type, bytes }, this.#token)
  }
}

type Method = 'GET' | 'POST' | 'PUT'

/** Bytes are sent as they are. */
type Body = object | { type: string; bytes: Buffer }

async function send(url: string, method: Method, path: string, body: Body | undefined, token?: string, seen?: string): Promise<Json> {
  const upload = body && 'bytes' in body ? body : undefined
  const headers = {
    ...(token && { authorization: `Bearer ${token}` }),
    ...(body && { 'content-type': upload?.type ?? 'application/json' }),
    ...(seen !== undefined && { 'if-match': `"${seen}"` }),
  }
  const answer = await request(`${url}/api/v1${path}`, {
    method,
    headers,
    ...(body && { body: upload?.bytes ?? JSON.stringify(body) }),
    dispatcher: insecure,
  })
  const text = await answer.body.text()
  if (answer.statusCode !== 200) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`)
  return text === '' ? {} : (JSON.parse(text) as Json)
}

const secretOf = (link: string) => new URL(link).hash.slice(1)

/** Signs in, and sets up the second factor where the role asks for one. */
async function signIn(url: string, login: string): Promise<Person> {
  const { token, person, due } = await send(url, 'POST', '/session', { login, password })
  const signedIn = new Person(url, person as string, token as string)
  if (due !== 'factor') return signedIn
  const { secret } = await signedIn.post('/me/factor')
  await signedIn.post('/me/factor/confirm', { code: totp(fromBase32(secret as string), Math.floor(Date.now() / 30_000)) })
  return signedIn
}

/** A city at work: its first administrator came in by the one-time link, and made the others. */
export class City {
  readonly url: string
  readonly #system: Person
  readonly #security: Person

  private constructor(url: string, system: Person, security: Person) {
    this.url = url
    this.#system = system
    this.#security = security
  }

  /** @param link what the hub prints at its first start, or `qianzhi-hub first-admin`. */
  static async found(url: string, link: string): Promise<City> {
    const agency = { code: 'city', name: '市电子政务办' }
    await send(url, 'POST', '/activation', { secret: secretOf(link), password, first: { login: 'system', name: '系统管理员', agency } })
    const system = await signIn(url, 'system')
    const made = await system.post('/people/found', { agency: 'city', login: 'security', name: '安全管理员', role: 'security-admin' })
    await send(url, 'POST', '/activation', { secret: secretOf(made['link'] as string), password })
    return new City(url, system, await signIn(url, 'security'))
  }

  async agency(code: string, name: string): Promise<void> {
    await this.#system.post('/agencies', { code, name })
  }

  /** A new person of an agency, with roles, who is signed in. */
  async person(agency: string, login: string, name: string, ...roles: Role[]): Promise<Person> {
    const made = await this.#system.post('/people', { agency, login, name })
    await this.#security.put(`/people/${made['person'].id}/roles`, { roles })
    await send(this.url, 'POST', '/activation', { secret: secretOf(made['link'] as string), password })
    return signIn(this.url, login)
  }
}

/** Agency IT applies for a front-end machine, the office approves, the agent enrols with the token (Art. 15). It is not started. */
export async function frontEnd(exchange: Exchange, it: Person, office: Person, name: string, options: AgentOptions): Promise<TestAgent> {
  const { id } = await it.post('/machines', { name, purpose: '数据交换', providedBy: 'agency' })
  await office.post(`/machines/${id}/approve`)
  const { token } = await it.post(`/machines/${id}/token`)
  const agent = new TestAgent(name, join(exchange.folder, name), options)
  agent.configure(options)
  await agent.command('enroll', String(token), '--name', name)
  agent.id = String((await it.get(`/machines/${id}`))['agent'])
  exchange.agents.set(name, agent)
  return agent
}
