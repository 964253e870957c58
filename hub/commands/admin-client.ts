import { createWriteStream } from 'node:fs'
import { readFile, rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { Agent } from 'undici'
import { fromProblem, QianzhiError, reasonOf } from '../../protocol/errors.ts'
import { pinnedConnection } from '../../protocol/pinned-connection.ts'
import type { HubConfig } from '../config.ts'
import { adminKeyPath, authorityPath } from '../store/durable-files.ts'

/** Talks to the running hub on this machine, as whoever can read its data folder. */
export class AdminClient {
  readonly #config: HubConfig

  constructor(config: HubConfig) {
    this.#config = config
  }

  get<T>(path: string): Promise<T> {
    return this.#send('GET', path)
  }

  post<T>(path: string, body: unknown = null): Promise<T> {
    return this.#send('POST', path, body)
  }

  async #send<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const url = this.#address()
    const key = await this.#key(url)
    const dispatcher = await this.#connection()
    try {
      const { request } = await import('undici')
      const headers = { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) }
      const answer = await request(url + path, { method, headers, dispatcher, body: body === undefined ? null : JSON.stringify(body) })
      const value: unknown = JSON.parse(await answer.body.text())
      if (answer.statusCode === 200) return value as T
      throw problemOf(value, answer.statusCode)
    } catch (error) {
      throw error instanceof QianzhiError ? error : notRunning(url, error)
    } finally {
      await dispatcher.close()
    }
  }

  /** Writes an answer's body into a file, whole or not at all; streamed, so it may be of any size. @returns how many bytes. */
  async download(path: string, file: string): Promise<number> {
    const url = this.#address()
    const headers = { authorization: `Bearer ${await this.#key(url)}` }
    const dispatcher = await this.#connection()
    const partial = `${file}.${process.pid}.part`
    try {
      const { request } = await import('undici')
      const answer = await request(url + path, { dispatcher, headers })
      if (answer.statusCode !== 200) throw problemOf(await answer.body.json(), answer.statusCode)
      const target = createWriteStream(partial, { mode: 0o600, flush: true })
      await pipeline(answer.body, target)
      await rename(partial, file)
      return target.bytesWritten
    } catch (error) {
      await rm(partial, { force: true })
      if (error instanceof Error && 'path' in error)
        throw new QianzhiError('QZ-REQUEST-INVALID', { reason: error.message }, { cause: error })
      throw error instanceof QianzhiError ? error : notRunning(url, error)
    } finally {
      await dispatcher.close()
    }
  }

  #address(): string {
    const { host, port } = this.#config.listen
    const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
    return `https://${local.includes(':') ? `[${local}]` : local}:${port}`
  }

  async #key(url: string): Promise<string> {
    try {
      return (await readFile(adminKeyPath(this.#config.data), 'utf8')).trim()
    } catch (error) {
      throw notRunning(url, error)
    }
  }

  /**
   * Trusts the hub's own authority, or exactly the certificate that it was given: that one is for the public name, while this
   * connection is to this machine.
   */
  async #connection(): Promise<Agent> {
    const given = this.#config.tls
    try {
      const ca = await readFile(given ? given.certificate : authorityPath(this.#config.data), 'utf8')
      const { Agent, buildConnector } = await import('undici')
      const connect = pinnedConnection(
        buildConnector({ timeout: 5000, allowH2: false, rejectUnauthorized: false, maxCachedSessions: 0 }),
        ca,
      )
      return new Agent({ connect, headersTimeout: 120_000 })
    } catch (error) {
      throw notRunning(this.#address(), error)
    }
  }
}

function problemOf(value: unknown, status: number): QianzhiError {
  return fromProblem(value) ?? new QianzhiError('QZ-INTERNAL', { reason: `HTTP ${status}` })
}

function notRunning(url: string, error: unknown): QianzhiError {
  const why = reasonOf(error)
  const reason = {
    zh: `${why}；请先启动中心（qianzhi-hub start），并用 --config 指定同一配置`,
    en: `${why}; start the hub first (qianzhi-hub start), and name the same --config`,
  }
  return new QianzhiError('QZ-HUB-UNREACHABLE', { url, reason }, { cause: error })
}
