import t from 'tap'
import { StreamStore } from '../../../agent/runtime/stream-store.ts'

t.test('a key that cannot be sent again has stood in the quarantine since the first time', (t) => {
  const store = new StreamStore(':memory:')
  t.teardown(() => store.close())
  const memory = { sent() {}, snapshotBegan() {}, snapshotReached() {} }
  const at = (seq: number) => ({ epoch: 1, seq, hash: `h${seq}` })
  const fail = (from: Parameters<StreamStore['record']>[0]['from'], seq: number, item: string) =>
    store.record({ from, to: at(seq), entries: [], faults: [{ key: ['k'], code: 'QZ-ROW-VALUE', item }], sent: [] }, memory)
  fail(null, 1, 'name')
  store.run('update quarantine set at = 1000')
  fail(at(1), 2, 'money')
  const said = store.quarantined('r', 10).map(({ key, item, since }) => [key, item, since.getTime()])
  t.same(said, [[['k'], 'money', 1000]])
  t.end()
})
