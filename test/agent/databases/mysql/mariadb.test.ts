import t from 'tap'
import { findMariadb } from '../../../support/mariadb.ts'
import { engineTests } from './engine.ts'

await engineTests(t, await findMariadb(), 'no MariaDB server is reachable (QIANZHI_TEST_MARIADB_URL)')
