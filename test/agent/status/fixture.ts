/** A running agent's status to look at: one source that flows, one that is held, a sink that loads. */
import type { AgentStatus } from '../../../agent/status/agent-status.ts'
import { told } from '../../../agent/status/agent-status.ts'

const time = '2026-11-24T00:40:00.000Z'
const fault = {
  code: 'QZ-DB-UNREACHABLE',
  zh: '数据库 front 无法使用：<b>Key (id)=(441900) exists</b>',
  en: 'Database front cannot be used: <b>Key (id)=(441900) exists</b>',
  since: '2026-11-24T00:38:30.000Z',
}

export function statusOf(more: Partial<AgentStatus> = {}): AgentStatus {
  return {
    version: '1.2.3',
    session: 's',
    clockOffset: 90_000,
    agent: 'civil-1',
    agency: 'civil',
    time,
    started: '2026-11-23T22:40:00.000Z',
    timezone: 'Asia/Shanghai',
    hub: { url: 'https://hub.test:8443', answered: '2026-11-24T00:39:57.000Z' },
    policy: { serial: 7, expires: '2026-12-24T00:00:00.000Z', valid: true },
    receiptsDue: 1,
    disk: { free: 5 * 2 ** 30, size: 100 * 2 ** 30, low: false },
    page: { url: 'http://127.0.0.1:8470/' },
    sources: [
      {
        resource: 'villages',
        database: 'front',
        state: 'flowing',
        waiting: 1234,
        oldest: '2026-11-24T00:36:40.000Z',
        position: { epoch: 3, seq: 9, hash: 'a'.repeat(64) },
        lastPush: '2026-11-24T00:39:59.000Z',
        rows: 26_842,
        quarantine: 2,
        rate: 1520,
        snapshot: { rows: 500, total: 2000, rate: 100, left: 90 },
        scan: { last: '2026-11-24T00:30:00.000Z', next: '2026-11-24T00:45:00.000Z' },
        reconciled: { time: '2026-11-23T17:05:00.000Z', equal: false },
        lastFault: { ...told({ ...fault, code: 'QZ-DB-RIGHTS' }), over: true },
      },
      {
        resource: 'permits',
        database: 'front',
        state: 'held',
        waiting: 0,
        position: null,
        rows: 0,
        quarantine: 0,
        files: {
          waiting: 0,
          taken: 3,
          refused: 1,
          looked: '2026-11-24T00:39:30.000Z',
          settled: [
            { id: '2', file: '<b>坏.csv', time: '2026-11-24T00:20:00.000Z', code: 'QZ-ROW-VALUE', rows: 3, bad: 2 },
            { id: '1', file: '好.csv', time: '2026-11-24T00:10:00.000Z', rows: 4, bad: 0 },
          ],
        },
        fault,
        lastFault: { ...told(fault), over: false },
      },
    ],
    sinks: [
      {
        route: 'r-1',
        resource: 'people',
        database: 'local',
        table: 'delivered.people',
        state: 'loading',
        position: { epoch: 1, seq: 2, hash: 'b'.repeat(64) },
        rows: 10,
        quarantine: 1,
        refused: [{ code: 'QZ-ROW-REFUSED', keys: 1, examples: [['geheim']] }],
        reached: '2026-11-24T00:39:00.000Z',
        lastApplied: '2026-11-24T00:39:30.000Z',
        level: true,
      },
    ],
    ...more,
  }
}
