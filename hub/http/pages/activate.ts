import type { LocalizedText } from '../../../protocol/localized.ts'
import { markup, type Html } from '../../../protocol/markup.ts'
import type { AccessRules } from '../../access/settings.ts'
import { takeCode, type Page } from './page.ts'

type Say = (text: LocalizedText) => string

const title: LocalizedText = { zh: '激活账户', en: 'Activate your account' }

function fault(say: Say, error: LocalizedText | undefined): Html | undefined {
  return error && markup`<p class="bad" role="alert">${say(error)}</p>`
}

/** The code of the link: out of its address, or typed in. */
export function codePage(error?: LocalizedText): Page {
  return {
    title,
    script: takeCode,
    body: (say) => markup`${fault(say, error)}
<form method="post" data-code>
<label for="secret">${say({ zh: '激活码：链接中 # 之后的字符', en: 'The code: what stands behind # in your link' })}</label>
<input id="secret" name="secret" required maxlength="100" autocomplete="off" spellcheck="false">
<button>${say({ zh: '继续', en: 'Continue' })}</button>
</form>`,
  }
}

export interface Invited {
  login: string | null
  name: string | null
}

/** What was filled in before, but for passwords. */
export type Filled = Readonly<Record<'secret' | 'login' | 'name' | 'agency' | 'agencyName', string>>

/** Who it is for chooses a password; the first administrator says who they are. */
export function passwordPage({
  invited,
  filled,
  rules,
  error,
}: {
  invited: Invited
  filled: Filled
  rules: AccessRules['password']
  error?: LocalizedText | undefined
}): Page {
  const { length, kinds } = rules
  return {
    title,
    body: (say) => markup`${fault(say, error)}
${
  invited.login === null
    ? markup`<p>${say({ zh: '此链接用于建立首个系统管理员。', en: 'This link makes the first system administrator.' })}</p>`
    : markup`<p>${say({ zh: '姓名：', en: 'Name: ' })}<strong>${invited.name ?? ''}</strong><br>${say({ zh: '登录名：', en: 'Login name: ' })}<strong>${invited.login}</strong></p>`
}
<form method="post">
<input type="hidden" name="secret" value="${filled.secret}">
${invited.login === null ? firstFields(say, filled) : markup`<input type="hidden" name="username" value="${invited.login}" autocomplete="username">`}
<label for="password">${say({ zh: '新口令', en: 'New password' })}</label>
<input id="password" name="password" type="password" required maxlength="200" autocomplete="new-password" aria-describedby="rules">
<p id="rules" class="muted">${say({
      zh: `至少 ${length} 个字符，含大写字母、小写字母、数字、符号中的 ${kinds} 种，不含登录名。`,
      en: `At least ${length} characters, ${kinds} of the four kinds upper case, lower case, digits and other signs, without the login name.`,
    })}</p>
<label for="again">${say({ zh: '再输入一次', en: 'Once more' })}</label>
<input id="again" name="again" type="password" required maxlength="200" autocomplete="new-password">
<button>${say({ zh: '设置口令', en: 'Set the password' })}</button>
</form>`,
  }
}

function firstFields(say: Say, filled: Filled): Html {
  const field = (name: keyof Filled, longest: number, label: LocalizedText) => markup`
<label for="${name}">${say(label)}</label>
<input id="${name}" name="${name}" required maxlength="${longest}" value="${filled[name]}">`
  return markup`${[
    field('login', 40, { zh: '登录名（字母开头，3 至 40 位）', en: 'Login name (3 to 40 characters, a letter first)' }),
    field('name', 100, { zh: '姓名', en: 'Your name' }),
    field('agency', 40, { zh: '单位代码（小写字母、数字）', en: "Your agency's code (a-z, digits)" }),
    field('agencyName', 200, { zh: '单位名称', en: "Your agency's name" }),
  ]}`
}

/** It is done: how to go on. */
export function donePage(login: string): Page {
  return {
    title: { zh: '口令已设置', en: 'The password is set' },
    body: (say) => markup`
<p class="good">${say({ zh: '账户可以使用了。', en: 'The account can be used.' })}</p>
<p>${say({ zh: '登录名：', en: 'Login name: ' })}<strong>${login}</strong></p>
<p>${say({
      zh: '请以登录名和口令登录。角色要求动态验证码的，首次登录后先设置。',
      en: 'Sign in with login name and password. Where a role needs a second factor it is set up after signing in for the first time.',
    })}</p>
<p><a href="/">${say({ zh: '登录', en: 'Sign in' })}</a></p>`,
  }
}
