import t from 'tap'
import { runProgram } from '../support/programs.ts'

t.test('npm start -- --once: real rows and changes arrive, what is not granted does not', async (t) => {
  const { stdout } = await runProgram(['config-examples/demo/main.ts', '--once', '--lang', 'en'])
  t.match(stdout, /Civil affairs holds 26842 rows/)
  t.match(stdout, /Wants attention: ".+" is overdue; the line of halls to civil affairs is held/)
  t.match(stdout, /Equal: \d+ rows compared one by one, 0 missing, 0 surplus; 0 of 20 withheld values found/)
})
