/** The SQLite engine: the conformance suite, and what only a file does. */
import t from 'tap'
import { conformance } from '../conformance/suite.ts'
import { freshDatabase, sqlite } from './dialect.ts'

await t.test('conformance on SQLite', async (t) => conformance(t, sqlite, freshDatabase))
