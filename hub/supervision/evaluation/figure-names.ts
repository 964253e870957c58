/** What the figures and scores of an evaluation are called. */
import type { LocalizedText } from '../../../protocol/localized.ts'

export const figureNames = {
  resources: { zh: '已发布资源数', en: 'Published resources' },
  items: { zh: '信息项数', en: 'Items' },
  changedRows: { zh: '提供变更行数', en: 'Changed rows supplied' },
  snapshotRows: { zh: '提供全量行数', en: 'Snapshot rows supplied' },
  dutiesDue: { zh: '应更新次数', en: 'Updates due' },
  dutiesUpdated: { zh: '按时更新', en: 'Updated in time' },
  dutiesExplained: { zh: '按时说明', en: 'Explained in time' },
  dutiesExplainedLate: { zh: '逾期说明', en: 'Explained late' },
  dutiesOverdue: { zh: '逾期', en: 'Overdue' },
  correctionsMet: { zh: '校核按期', en: 'Corrections in time' },
  correctionsMissed: { zh: '校核逾期', en: 'Corrections late' },
  repliesMet: { zh: '答复按期', en: 'Replies in time' },
  repliesMissed: { zh: '答复逾期', en: 'Replies late' },
  otherMet: { zh: '其他事项按期', en: 'Other deadlines met' },
  otherMissed: { zh: '其他事项逾期', en: 'Other deadlines missed' },
  grantsGiven: { zh: '对外授权数', en: 'Grants given' },
  grantsTaken: { zh: '获得授权数', en: 'Grants taken' },
  routesGiven: { zh: '提供路由数', en: 'Routes given' },
  routesTaken: { zh: '接收路由数', en: 'Routes taken' },
  rowsGiven: { zh: '被交换行数', en: 'Rows delivered to others' },
  rowsTaken: { zh: '接收行数', en: 'Rows received' },
  queriesAnswered: { zh: '被查询和接口调用次数', en: 'Queries and API requests answered' },
  queriesMade: { zh: '查询和接口调用次数', en: 'Queries and API requests made' },
  rowsShown: { zh: '被查询和接口读取行数', en: 'Rows shown by query and API' },
  rowsRead: { zh: '查询和接口读取行数', en: 'Rows read by query and API' },
} as const satisfies Record<string, LocalizedText>

export const scoreNames = {
  quantity: { zh: '数量得分', en: 'Quantity score' },
  timeliness: { zh: '时效得分', en: 'Timeliness score' },
  use: { zh: '使用得分', en: 'Use score' },
} as const satisfies Record<string, LocalizedText>
