import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Access } from '../access/access.ts'
import type { Registry } from '../records/registry.ts'
import { activate, viewInvitation, type Activation } from '../registry/people/invitations.ts'
import { codePage, donePage, passwordPage, type Filled } from './pages/activate.ts'
import { sendPage, type Page } from './pages/page.ts'
import { noteError, type Refusals } from './refusals.ts'
import type { Api } from './server.ts'
import { holdsSoundTexts } from './texts.ts'

export interface PagesDeps {
  registry: Registry
  access: Access
  logger: Logger
  refusals: Refusals
}

const formType = 'application/x-www-form-urlencoded'
/** Of a form here. */
const longestForm = 8192

/** What people open in a browser who are not signed in yet: where a one-time link leads. */
export function pagesApi(deps: PagesDeps): Api {
  return async (app) => {
    const plain = app as unknown as FastifyInstance
    plain.addContentTypeParser(formType, { parseAs: 'string', bodyLimit: longestForm }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(String(body)))),
    )
    plain.get('/activate', (request, reply) => sendPage(request, reply, 200, codePage()))
    plain.post('/activate', { bodyLimit: longestForm }, (request, reply) => answerForm(deps, request, reply))
  }
}

async function answerForm(deps: PagesDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const form = fieldsOf(request)
  const show = async (error: unknown, page: (text: LocalizedText) => Page) => {
    const coded = await noteError(error, request, deps.logger, deps.refusals)
    return sendPage(request, reply, coded.kind.status, page({ zh: coded.text('zh'), en: coded.text('en') }))
  }
  const { registry, access } = deps
  let invited
  try {
    access.throttle.take(request.ip, registry.clock())
    invited = await viewInvitation(registry, form.secret)
  } catch (error) {
    return show(error, codePage)
  }
  const chosen = { invited, filled: form, rules: access.rules.password }
  if (form.password === undefined) return sendPage(request, reply, 200, passwordPage(chosen))
  try {
    if (form.password !== form.again)
      throw new QianzhiError('QZ-RULE', { reason: { zh: '两次输入的口令不一致', en: 'the passwords differ' } })
    const { login } = await activate(registry, access, activationOf(form, invited.login === null), request.ip)
    return sendPage(request, reply, 200, donePage(login))
  } catch (error) {
    const linkGone = error instanceof QianzhiError && error.code === 'QZ-LINK'
    return show(error, linkGone ? codePage : (text) => passwordPage({ ...chosen, error: text }))
  }
}

type Form = Filled & { password: string | undefined; again: string | undefined }

/** Throws QZ-REQUEST-INVALID for texts that no store keeps. */
function fieldsOf({ body }: FastifyRequest): Form {
  const given = (body ?? {}) as Record<string, string>
  if (!holdsSoundTexts(given))
    throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: '含有无效的字符', en: 'a character is not valid' } })
  const field = (name: string, longest: number) => (given[name] ?? '').trim().slice(0, longest)
  return {
    secret: field('secret', 100),
    login: field('login', 40),
    name: field('name', 100),
    agency: field('agency', 40),
    agencyName: field('agencyName', 200),
    // Blanks are part of a password.
    password: given['password']?.slice(0, 200),
    again: given['again']?.slice(0, 200),
  }
}

function activationOf({ secret, password, login, name, agency, agencyName }: Form, first: boolean): Activation {
  if (!first) return { secret, password: password! }
  if (name === '' || agencyName === '')
    throw new QianzhiError('QZ-RULE', { reason: { zh: '请填写姓名和单位名称', en: 'name and agency must be filled in' } })
  return { secret, password: password!, first: { login, name, agency: { code: agency, name: agencyName } } }
}
