import t from 'tap'
import { refusals } from '../../../agent/operator/findings.ts'

t.test('what the hub would refuse as a text is shown, not repeated', async (t) => {
  const key = (...key: string[]) => ({ key, code: 'QZ-ROW-REFUSED', op: 'u' as const, end: 'sink' as const, position: null, time: '' })
  const [refused] = refusals([key('a\0b', '\ud800'), key(`${'x'.repeat(199)}𠮷`)] as never)
  t.same(refused, { code: 'QZ-ROW-REFUSED', keys: 2, examples: [['a␀b', '�'], [`${'x'.repeat(199)}�`]] })
})
