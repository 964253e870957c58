import type { LocalizedText } from '../../protocol/localized.ts'

/** What a person or a machine's key may be. The names of the offices are settings; these are their parts in the regulation. */
export const roles = {
  registrar: { zh: '登记员', en: 'registrar' },
  reviewer: { zh: '审核员', en: 'reviewer' },
  user: { zh: '使用员', en: 'user' },
  'agency-it': { zh: '前置机管理员', en: 'agency IT' },
  office: { zh: '市电子政务办', en: 'office' },
  government: { zh: '市政府办公室', en: 'city government office' },
  'system-admin': { zh: '系统管理员', en: 'system administrator' },
  'security-admin': { zh: '安全管理员', en: 'security administrator' },
  'audit-admin': { zh: '审计管理员', en: 'audit administrator' },
  supervisor: { zh: '监察员', en: 'supervisor' },
  secrecy: { zh: '保密监督员', en: 'secrecy supervisor' },
  display: { zh: '大屏', en: 'wall screen' },
} as const satisfies Record<string, LocalizedText>

export type Role = keyof typeof roles

/** Those of people. */
export const roleNames = (Object.keys(roles) as Role[]).filter((role) => role !== 'display')

/** Separation of the administrators' powers (三员分立): nobody has two of these, nor one of these beside another role. */
export const administrators: readonly Role[] = ['system-admin', 'security-admin', 'audit-admin']

/** Roles a machine's key may have: it supplies, asks and reads, and decides nothing. A wall screen reads what it shows, and nothing else. */
export const machineRoles: readonly Role[] = ['registrar', 'user', 'agency-it', 'supervisor', 'display']
