import t from 'tap'
import { startMariadb } from '../../../support/mariadb.ts'
import { logTests } from './log.ts'

await logTests(t, 'MariaDB', startMariadb)
