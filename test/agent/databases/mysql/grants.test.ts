/** What SHOW GRANTS says, in the words of MySQL and MariaDB. */
import t from 'tap'
import type { Session } from '../../../../agent/databases/mysql/connection.ts'
import { holds, readGrants, target } from '../../../../agent/databases/mysql/grants.ts'

function says(lines: string[], { mariadb = true, role = 'NONE' } = {}) {
  const asked: string[] = []
  const rows = (sql: string) => {
    asked.push(sql)
    return Promise.resolve(sql.includes('current_role') ? [[role]] : lines.map((line) => [line]))
  }
  return { asked, session: { rows, server: { mariadb, database: 'front' } } as unknown as Session }
}

const table = { database: 'my_front', name: 'villages' }
const may = async (line: string, privilege = 'SELECT', on: Parameters<typeof holds>[2] = table, columns: string[] = []) =>
  holds(await readGrants(says([line]).session), privilege, on, columns)

t.test('of all, of a database, of a table, of columns, of a procedure', async (t) => {
  t.ok(await may('GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION'))
  t.notOk(await may('GRANT USAGE ON *.* TO `qz`@`%` IDENTIFIED BY PASSWORD'))
  t.ok(await may('GRANT SELECT, INSERT ON `my\\_front`.* TO `qz`@`%`'))
  t.notOk(await may('GRANT SELECT ON `my\\_front`.* TO `qz`@`%`', 'SELECT', { ...table, database: 'my1front' }))
  t.ok(await may('GRANT SELECT ON `my%`.* TO `qz`@`%`'))
  t.notOk(await may('GRANT SELECT, INSERT ON `my_front`.`villages` TO `qz`@`%`', 'TRIGGER'))
  t.ok(await may('GRANT CREATE TEMPORARY TABLES, DROP ON `my_front`.* TO `qz`@`%`', 'CREATE TEMPORARY TABLES'))
  const columns = 'GRANT SELECT (`code`, `name`), TRIGGER ON `my_front`.`villages` TO `qz`@`%`'
  t.ok(await may(columns, 'SELECT', table, ['Code', 'name']))
  t.notOk(await may(columns, 'SELECT', table, ['code', 'other']))
  t.ok(await may(columns, 'TRIGGER'))
  const routine = { ...table, name: 'qz_c', routine: true }
  t.ok(await may('GRANT EXECUTE ON PROCEDURE `my_front`.`qz_c` TO `qz`@`%`', 'EXECUTE', routine))
  t.notOk(await may('GRANT EXECUTE ON PROCEDURE `my_front`.`qz_c` TO `qz`@`%`', 'EXECUTE', { ...routine, routine: false }))
  t.ok(await may('GRANT SELECT ON "my_front"."villages" TO "qz"@"%"'), 'ANSI_QUOTES')
  t.equal(target({ database: 'my_front' }), '`my\\_front`.*', 'an underscore is no wild card')
})

t.test('roles are asked for by name where the server does not tell what they give', async (t) => {
  const mysql = says([], { mariadb: false, role: '`reader`@`%`' })
  await readGrants(mysql.session)
  t.same(mysql.asked.at(-1), 'show grants for current_user() using `reader`@`%`')
  const none = says([], { mariadb: false })
  await readGrants(none.session)
  t.same(none.asked.at(-1), 'show grants')
})
