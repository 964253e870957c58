/** The PostgreSQL engine against the conformance suite. */
import t from 'tap'
import { startPostgres } from '../../support/postgres.ts'
import { conformance } from './conformance.ts'
import { freshDatabase, postgres } from './postgres-dialect.ts'

const server = await startPostgres()
t.teardown(() => server.stop())
conformance(t, postgres, () => freshDatabase(server))
