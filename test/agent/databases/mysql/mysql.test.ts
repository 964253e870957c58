import t from 'tap'
import { findMysql } from '../../../support/mysql.ts'
import { engineTests } from './engine.ts'

const server = await findMysql()
t.teardown(() => server?.stop())
await engineTests(t, server, 'no MySQL server is here (QIANZHI_TEST_MYSQL_URL, or test/support/mysql-server.sh)')
