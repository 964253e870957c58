import { QianzhiError } from '../../protocol/errors.ts'
import type { AccessRules } from './settings.ts'

/** The longest password that is taken: hashing must not be given work without end. */
export const longestPassword = 128

const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{Nd}/u, /[^\p{Ll}\p{Lu}\p{Nd}]/u]

/** What the commonest passwords are made of, in lower case, with look-alike signs put back to letters: digits and signs go around it. */
const commonest = new Set(
  `password passwd pass admin administrator root system manager master user guest test demo welcome login letmein changeme default secret
   qwerty qwertyuiop qwer asdf asdfgh asdfghjkl zxcvbn qaz qazwsx qazwsxedc lqaz lqazwsx lqazawsx lqazwsxeedc lqazawsxeedc a aa aaa abc abcd
   abcde abcdef abcdefg iloveyou woaini huawei inspur aliyun tencent oracle mysql postgres sqlserver server network government zhengwu
   dongguan guangdong china zhongguo qianzhi`.split(/\s+/),
)

const lookalikes: Record<string, string> = { '@': 'a', '4': 'a', '0': 'o', $: 's', '5': 's', '1': 'l', '!': 'l', '3': 'e', '|': 'l' }

/**
 * Throws QZ-RULE with everything that is wrong with a new password. That it is none of the earlier ones is asked elsewhere: it takes as
 * many hashes.
 */
export function checkPassword(password: string, login: string, { length, kinds: least }: AccessRules['password']): void {
  const faults: [zh: string, en: string][] = []
  if (Array.from(password).length < length) faults.push([`须至少 ${length} 个字符`, `it must have at least ${length} characters`])
  if (password.length > longestPassword)
    faults.push([`须至多 ${longestPassword} 个字符`, `it may have at most ${longestPassword} characters`])
  if (kinds.filter((kind) => kind.test(password)).length < least)
    faults.push([
      `须含大写字母、小写字母、数字、符号中的 ${least} 种`,
      `it must have ${least} of the four kinds: upper case, lower case, digits, other signs`,
    ])
  if (password.toLowerCase().includes(login.toLowerCase())) faults.push(['不能包含登录名', 'it may not contain the login name'])
  if (isCommon(password)) faults.push(['不能是常见口令或其变形', 'it may not be one of the commonest passwords, or made of one'])
  if (faults.length === 0) return
  const zh = faults.map(([text]) => text).join('；')
  const en = faults.map(([, text]) => text).join('; ')
  throw new QianzhiError('QZ-RULE', { reason: { zh: `口令不合要求：${zh}`, en: `the password is refused: ${en}` } })
}

/** One of the commonest words, whole, behind and before digits and signs (`Admin@2026!`), or few different characters. */
function isCommon(password: string): boolean {
  const lower = password.toLowerCase()
  if (new Set(lower).size < 5) return true
  const core = (text: string) => text.replace(/^[^a-z]+|[^a-z]+$/g, '').replace(/[^a-z]/g, '')
  const spelled = (text: string) => Array.from(text, (sign) => lookalikes[sign] ?? sign).join('')
  const trimmed = lower.replace(/[^a-z]+$/, '')
  return [core(lower), core(spelled(trimmed)), core(spelled(lower))].some((word) => commonest.has(word))
}
