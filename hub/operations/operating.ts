import { Type } from 'typebox'
import { DoctorAnswer, DoneAnswer, LogAnswer, type OperateQuestion } from '../../protocol/asks.ts'
import { operateAgent } from '../registry/machines/operating.ts'
import { operation, type Operation } from './operation.ts'
import { ById, closed, NoBody } from './shapes.ts'

const Line = Type.Object({ name: Type.String({ minLength: 1, maxLength: 128 }) }, closed)

/** What people have an agent find out or do, without a way to its machine (Art. 15). */
export const operatingOperations: readonly Operation[] = [
  operation({
    name: 'agent.doctor',
    method: 'POST',
    path: '/agents/:id/doctor',
    objectKind: 'agent',
    text: { zh: '前置机自检', en: 'everything that running needs, as the agent finds it' },
    params: ById,
    body: NoBody,
    answer: DoctorAnswer,
    example: {},
    run: ({ registry, services: { asks }, principal, params, signal }) =>
      operateAgent({ registry, asks, principal, signal }, 'agent.doctor', params.id, { kind: 'doctor' }),
  }),
  operation({
    name: 'agent.log',
    method: 'POST',
    path: '/agents/:id/log',
    objectKind: 'agent',
    text: { zh: '前置机运行日志（最近若干行）', en: "the last lines of the agent's log" },
    params: ById,
    body: Type.Object({ lines: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })) }, closed),
    answer: LogAnswer,
    example: { lines: 100 },
    run: ({ registry, services: { asks }, principal, params, body, signal }) =>
      operateAgent({ registry, asks, principal, signal }, 'agent.log', params.id, { kind: 'log', lines: body.lines ?? 100 }),
  }),
  switching('pause', { zh: '暂停某资源或路由', en: 'stop the line of a resource or route' }),
  switching('resume', { zh: '恢复某资源或路由', en: 'let the line of a resource or route go on' }),
  switching('confirm', { zh: '确认大量删除', en: 'the many deletes that a source holds back are meant' }),
]

function switching(kind: OperateQuestion['kind'], text: Operation['text']): Operation {
  return operation({
    name: `agent.${kind}`,
    method: 'POST',
    path: `/agents/:id/${kind}`,
    objectKind: 'agent',
    text,
    params: ById,
    body: Line,
    answer: DoneAnswer,
    example: { name: 'villages' },
    run: ({ registry, services: { asks }, principal, params, body, signal }) =>
      operateAgent({ registry, asks, principal, signal }, `agent.${kind}`, params.id, { kind, name: body.name }),
  })
}
