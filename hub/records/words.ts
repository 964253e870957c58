import { same, type LocalizedText } from '../../protocol/localized.ts'

/** What the states of grants are called among people. */
export const grantStates = {
  active: { zh: '有效', en: 'active' },
  suspended: { zh: '已暂停', en: 'suspended' },
  held: { zh: '待接收方确认新版本', en: 'held until the receiver accepts the new version' },
  revoked: { zh: '已撤销', en: 'revoked' },
  expired: { zh: '已到期', en: 'expired' },
  'given-up': { zh: '已放弃', en: 'given up' },
} as const satisfies Record<string, LocalizedText>

/** Of routes: those of their grant, or that their agent is revoked. */
export const routeStates: Record<string, LocalizedText> = { ...grantStates, 'agent-revoked': { zh: '代理已撤销', en: 'agent revoked' } }

export const agentStates: Record<string, LocalizedText> = {
  active: { zh: '有效', en: 'active' },
  revoked: { zh: '已撤销', en: 'revoked' },
}

/** Whether the hub stores a resource's rows. */
export const keepWords: Record<string, LocalizedText> = { store: { zh: '存储', en: 'store' }, relay: { zh: '转发', en: 'relay' } }

export const tableWords: Record<string, LocalizedText> = {
  filling: { zh: '填充中', en: 'filling' },
  live: { zh: '可用', en: 'live' },
}

export const healthWords: Record<string, LocalizedText> = {
  ok: { zh: '正常', en: 'ok' },
  degraded: { zh: '有问题', en: 'degraded' },
  down: { zh: '不可用', en: 'down' },
}

/** Whatever has no words is shown as it is. */
export function wordFor(words: Record<string, LocalizedText>, value: string): LocalizedText {
  return words[value] ?? same(value)
}
