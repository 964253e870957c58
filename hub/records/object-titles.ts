/** SQL: what people call an object that is named as in the audit (`application 7`, `resource villages`); null where it has no title. */
export function objectTitle(object: string): string {
  const id = `split_part(${object}, ' ', 2)`
  const number = `case when ${id} ~ '^[0-9]{1,18}$' then ${id}::bigint end`
  const ofResource = (table: string) => `(select r.title from ${table} o join resource r on r.code = o.resource where o.id = ${number})`
  const titles: Record<string, string> = {
    agency: `(select name from agency where code = ${id})`,
    application: `(select coalesce(r.title, s.form ->> 'title', a.standard) from application a left join resource r on r.code = a.resource
      left join standard s on s.code = a.standard where a.id = ${number})`,
    correction: ofResource('correction'),
    declaration: ofResource('declaration'),
    demand: `(select title from demand where id = ${number})`,
    evaluation: `(select period from evaluation where id = ${number})`,
    grant: `(select r.title from access_grant g join resource r on r.code = g.resource where g.id = ${id})`,
    machine: `(select name from machine_application where id = ${number})`,
    opening: ofResource('opening'),
    order: ofResource('rectification_order'),
    person: `(select name from person where id = ${number})`,
    publication: ofResource('publication_request'),
    registration: `(select content ->> 'title' from registration where id = ${number})`,
    resource: `(select title from resource where code = ${id})`,
    route: `(select r.title from route t join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource where t.id = ${id})`,
    standard: `(select coalesce(form, draft) ->> 'title' from standard where code = ${id})`,
  }
  const lines = Object.entries(titles).map(([kind, title]) => `when '${kind}' then ${title}`)
  return `case split_part(${object}, ' ', 1) ${lines.join(' ')} end`
}
