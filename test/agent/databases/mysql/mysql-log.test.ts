import t from 'tap'
import { startMysql } from '../../../support/mysql.ts'
import { logTests } from './log.ts'

await logTests(t, 'MySQL', startMysql)
