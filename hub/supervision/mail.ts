import { createTransport, type SendMailOptions } from 'nodemailer'
import type { Logger } from 'pino'
import { errorForLog, reasonOf } from '../../protocol/errors.ts'
import type { Store } from '../store/store.ts'
import { startRounds, type Rounds } from '../store/rounds.ts'

export interface MailConfig {
  /** smtp://user:password@host:port or smtps://… */
  url: string
  from: string
}

export interface MailDeps {
  store: Pick<Store, 'query'>
  config: MailConfig
  logger: Logger
  clock: () => Date
}

const minute = 60_000
/** A notice of so long ago is read on the screen, not sent by a mail server that was configured since. */
const freshFor = 3 * 24 * 60 * minute
/** How long a process has for one message before another one may send it. */
const lease = 10 * minute
const longestWait = 60 * minute
const intervalMs = 10_000

/** Finds out to whom new notices go. A notice whose transaction commits late is found like any other: there is no high-water mark. */
export async function addressNotices({ store, clock }: Pick<MailDeps, 'store' | 'clock'>): Promise<void> {
  const now = clock()
  for (let more = true; more;) {
    const addressed = await store.query(
      `with taken as (select id, at, person, agency, role from notice where addressed_at is null order by id limit 500 for update skip locked),
       queued as (
         insert into mail (notice, person, address, next_at)
         select n.id, p.id, p.email, $1 from taken n join person p on p.state = 'active' and p.email <> '' and (p.id = n.person
           or exists (select from person_role r where r.person = p.id and r.role = n.role) and (n.agency is null or n.agency = p.agency))
         where n.at > $2 on conflict do nothing)
       update notice set addressed_at = $1 from taken where notice.id = taken.id returning 1`,
      [now, new Date(now.getTime() - freshFor)],
    )
    more = addressed.length > 0
  }
}

interface Waiting {
  notice: string
  person: string
  address: string
  attempts: number
  at: Date
  kind: string
  zh: string
  en: string
}

/** A message for this process alone: the lease is written down before it is sent. */
async function takeMail({ store, clock }: MailDeps): Promise<Waiting | undefined> {
  const now = clock()
  const [mail] = await store.query<Waiting>(
    `update mail set attempts = attempts + 1, next_at = $2 from notice n
     where n.id = mail.notice and mail.state = 'waiting' and mail.next_at <= $1 and (mail.notice, mail.person) = (
       select notice, person from mail where state = 'waiting' and next_at <= $1 order by next_at, notice, person limit 1 for update skip locked)
     returning mail.notice, mail.person, mail.address, mail.attempts, n.at, n.kind, n.zh, n.en`,
    [now, new Date(now.getTime() + lease)],
  )
  return mail
}

type Send = (message: SendMailOptions) => Promise<unknown>

/**
 * Sends what is due. A message that the server has taken is never sent again; where the answer was lost it is, under the same Message-ID.
 * Ends early where the server cannot be reached. @returns how many were sent.
 */
export async function sendMail(deps: MailDeps, send: Send, signal: AbortSignal): Promise<number> {
  for (let sent = 0; ;) {
    const mail = signal.aborted ? undefined : await takeMail(deps)
    if (!mail) return sent
    try {
      await send(messageOf(mail, deps.config))
    } catch (error) {
      await failed(deps, mail, error)
      if (serverAway(error)) return sent
      continue
    }
    await deps.store.query(`update mail set state = 'sent', sent_at = $3, error = null where notice = $1 and person = $2`, [
      mail.notice,
      mail.person,
      deps.clock(),
    ])
    sent++
  }
}

function messageOf({ notice, person, address, at, zh, en }: Waiting, { from }: MailConfig): SendMailOptions {
  const domain = /@([^>\s]+)/.exec(from)?.[1] ?? 'localhost'
  const subject = zh.length > 60 ? `${zh.slice(0, 59)}…` : zh
  return {
    from,
    // An address, never a list or a name that a parser could take for more.
    to: { name: '', address },
    subject: `【前置】${subject.replaceAll(/\s+/g, ' ')}`,
    text: `${zh}\n\n${en}\n`,
    textEncoding: 'base64',
    messageId: `<notice.${notice}.${person}.${at.getTime()}@${domain}>`,
    headers: { 'Auto-Submitted': 'auto-generated' },
  }
}

interface SmtpError {
  code?: string
  responseCode?: number
  rejected?: unknown[]
}

const away = new Set(['ECONNECTION', 'ETIMEDOUT', 'ESOCKET', 'EDNS', 'EAUTH', 'ETLS', 'EPROTOCOL', 'EPROXY'])

const serverAway = (error: unknown): boolean => away.has((error as SmtpError).code ?? '')

/** A recipient that the server refuses for good is not tried again; everything else is, with growing pauses up to an hour. */
async function failed({ store, clock, logger }: MailDeps, { notice, person, attempts }: Waiting, error: unknown): Promise<void> {
  const { responseCode = 0, rejected = [] } = error as SmtpError
  const refused = responseCode >= 500 && rejected.length > 0
  const wait = Math.min(2 ** (attempts - 1) * minute, longestWait)
  await store.query('update mail set state = $3, next_at = $4, error = $5 where notice = $1 and person = $2', [
    notice,
    person,
    refused ? 'refused' : 'waiting',
    new Date(clock().getTime() + wait),
    reasonOf(error).slice(0, 500),
  ])
  logger.warn(
    { notice, person, attempts, code: (error as SmtpError).code, responseCode },
    refused ? 'mail refused' : 'mail not sent, tries again',
  )
}

/** Sends notices by e-mail until stopped; a round says how many were sent. Acts never wait for it: they only store notices. */
export function startMail(deps: MailDeps): Rounds<number> {
  const transport = createTransport({
    url: deps.config.url,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 30_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const rounds = startRounds({
    intervalMs,
    async round(signal) {
      if (signal.aborted) return 0
      await addressNotices(deps)
      return sendMail(deps, (message) => transport.sendMail(message), signal)
    },
    done: (sent) => void (sent > 0 && deps.logger.info({ sent }, 'notices mailed')),
    failed: (error) => deps.logger.warn({ err: errorForLog(error) }, 'mail failed, tries again'),
  })
  return {
    run: () => rounds.run(),
    async stop() {
      await rounds.stop()
      transport.close()
    },
  }
}
