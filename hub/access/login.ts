import { QianzhiError } from '../../protocol/errors.ts'

export const loginRule = {
  zh: '登录名须以字母开头，3 至 40 位，只含字母、数字和 . _ -',
  en: 'a login name begins with a letter and has 3 to 40 of a-z 0-9 . _ -',
}

/** Lower case: `Zhang.San` and `zhang.san` are one. Throws QZ-REQUEST-INVALID. */
export function checkLogin(login: string): string {
  const lower = login.toLowerCase()
  if (isLogin(lower)) return lower
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason: loginRule })
}

export function isLogin(lower: string): boolean {
  return /^[a-z][a-z0-9._-]{2,39}$/.test(lower)
}
