import { Readable } from 'node:stream'
import { isDeepStrictEqual } from 'node:util'
import cookie from '@fastify/cookie'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError } from '../../protocol/errors.ts'
import { principalOf } from '../access/sessions.ts'
import type { AccessRules } from '../access/settings.ts'
import type { Event, EventFeed, Watcher } from '../events/feed.ts'
import type { Registry } from '../records/registry.ts'
import { apiPrefix, identify, requireNothingDue, secretOf } from './registry.ts'
import type { Api } from './server.ts'

/** Milliseconds: a comment keeps the line open, and finds a session that timed out; events come in one piece of a moment. */
const beat = 15_000
const pause = 250

const words = {
  operationId: 'event.watch',
  tags: ['变更提醒'],
  summary: '变更提醒：所能查阅的事项何时有变化（服务器推送）',
  description:
    'server-sent events: what changed of what the caller may read (`changed`, `todo`, `notice`, `job`, `line`), to be looked at anew. It does not prolong the session, and ends with it.\n\neverybody: any',
  security: [{ bearer: [] }, { cookie: [] }],
  produces: ['text/event-stream'],
}

/** `display=1`: a wall screen, by its key. */
const Watching = Type.Object({ display: Type.Optional(Type.Literal('1')) }, { additionalProperties: false })

/**
 * `GET /events`: a stream to whoever is signed in. It ends with the session, and at once when the hub ends. Not an operation of the table: its
 * answer has no end.
 */
export function eventsApi(registry: Registry, rules: AccessRules, feed: EventFeed): Api {
  return async (app) => {
    const plain = app as unknown as FastifyInstance
    await plain.register(cookie)
    const ending = new AbortController()
    plain.addHook('preClose', async () => ending.abort())
    plain.get(
      `${apiPrefix}/events`,
      { schema: { ...words, querystring: Watching, response: { 200: Type.String() } } },
      async (request, reply) => {
        request.headers['qz-background'] = '1'
        const principal = await identify(registry, request, rules)
        requireNothingDue(principal)
        const secret = secretOf(request)!
        // Whose rights have changed begins anew.
        const isOpen = async () => {
          try {
            const { ip: _ip, ...known } = principal
            return isDeepStrictEqual(await principalOf(registry, secret, rules, { quiet: true, address: request.ip }), known)
          } catch (error) {
            if (error instanceof QianzhiError && ['QZ-SIGN-IN', 'QZ-API-ADDRESS'].includes(error.code)) return false
            throw error
          }
        }
        const gone = new AbortController()
        reply.raw.once('close', () => gone.abort())
        // Otherwise its connection would live on, and the hub wait for it.
        reply.raw.once('finish', () => request.raw.socket.destroySoon())
        void reply.type('text/event-stream').header('cache-control', 'no-store').header('x-accel-buffering', 'no')
        return reply.send(Readable.from(events(feed, principal, isOpen, AbortSignal.any([ending.signal, gone.signal]))))
      },
    )
  }
}

/** Until the signal aborts or the session has ended. Who reads slowly is told less: only what is pending when they have read. */
async function* events(
  feed: EventFeed,
  principal: Watcher['principal'],
  isOpen: () => Promise<boolean>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let wake = () => {}
  const watcher = feed.watch(principal, () => wake())
  try {
    yield ': qianzhi\n\n'
    let beats = performance.now() + beat
    while (!signal.aborted) {
      const told = watcher.take()
      const due = performance.now() >= beats
      if (watcher.suspect || due) {
        watcher.suspect = false
        if (!(await isOpen())) return
        beats = performance.now() + beat
        if (due) yield ': \n\n'
      }
      if (told.length > 0) {
        yield told.map(written).join('')
        await sleep(pause, undefined, { signal }).catch(() => undefined)
      } else if (!watcher.hasNews) {
        await woken((heard) => (wake = heard), Math.max(0, beats - performance.now()), signal)
        wake = () => {}
      }
    }
  } finally {
    watcher.close()
  }
}

const written = ({ event, data }: Event): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/** At a wake, after so many milliseconds, or at the end. */
function woken(listen: (heard: () => void) => void, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
    listen(done)
  })
}
