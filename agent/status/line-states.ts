import type { SinkReport, SourceReport } from '../../protocol/api.ts'
import type { LocalizedText } from '../../protocol/localized.ts'

/** What the states of lines are called. */
export const stateNames: Record<(SourceReport | SinkReport)['state'], LocalizedText> = {
  starting: { zh: '启动中', en: 'starting' },
  flowing: { zh: '正常', en: 'flowing' },
  loading: { zh: '首次加载', en: 'loading' },
  held: { zh: '停住', en: 'held' },
  paused: { zh: '已暂停', en: 'paused' },
}
