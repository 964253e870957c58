import { same, type LocalizedText } from './localized.ts'

/** What a reconciliation, its steps, and what becomes of its keys are called among people. */
const words: Record<string, LocalizedText> = {
  waiting: { zh: '等待', en: 'waiting' },
  running: { zh: '进行中', en: 'running' },
  equal: { zh: '一致', en: 'equal' },
  different: { zh: '不一致', en: 'different' },
  failed: { zh: '失败', en: 'failed' },
  source: { zh: '来源', en: 'source' },
  target: { zh: '落地', en: 'sink' },
  digest: { zh: '计算摘要', en: 'digest' },
  narrowing: { zh: '收窄范围', en: 'narrowing' },
  buckets: { zh: '比较摘要', en: 'buckets' },
  collect: { zh: '收集差异行', en: 'collect' },
  entries: { zh: '比较差异行', en: 'entries' },
  keys: { zh: '取差异主键', en: 'keys' },
  recheck: { zh: '复核差异', en: 'recheck' },
  repair: { zh: '重发修复', en: 'repair' },
  remove: { zh: '删除多余行', en: 'remove' },
  total: { zh: '汇总', en: 'total' },
  sign: { zh: '签名', en: 'sign' },
  missing: { zh: '落地缺少', en: 'missing' },
  extra: { zh: '落地多余', en: 'extra' },
  changed: { zh: '内容不同', en: 'changed' },
  open: { zh: '待查', en: 'open' },
  settled: { zh: '途中，已一致', en: 'settled' },
  moving: { zh: '持续变化', en: 'moving' },
  quarantined: { zh: '在隔离区', en: 'quarantined' },
  repaired: { zh: '已重发修复', en: 'repaired' },
  remaining: { zh: '仍不一致', en: 'remaining' },
}

/** One word, or side and step: `source digest`. */
export function reconciliationWords(said: string): LocalizedText {
  const each = said.split(' ').map((word) => words[word] ?? same(word))
  return { zh: each.map(({ zh }) => zh).join(' '), en: each.map(({ en }) => en).join(' ') }
}
