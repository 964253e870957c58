/** The PostgreSQL engine against the conformance suite: on a server of its own, or on that at QIANZHI_TEST_POSTGRES_URL. */
import t from 'tap'
import { findPostgres } from '../../../support/postgres.ts'
import { conformance } from '../conformance/suite.ts'
import { freshDatabase, postgres } from './dialect.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
conformance(t, postgres, () => freshDatabase(server))
