select sys_context('userenv', 'session_user'), sys_context('userenv', 'database_role'),
  (select value from nls_database_parameters where parameter = 'NLS_CHARACTERSET'),
  (select value from nls_database_parameters where parameter = 'NLS_NCHAR_CHARACTERSET') from dual;

select table_name from all_tables where owner = :1 and table_name in (:2, :3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_SOURCE_QUARANTINE"
-- :3 VARCHAR "QZ_QUARANTINE"
-- :4 VARCHAR "QZ_ROUTE_POSITION"

select place, resource_code, route, code, item, reason, since, is_kept, key_text from (
select * from (
select 'source' as place, q.resource_code as resource_code, null as route, q.code as code, q.item as item, q.reason as reason, to_char(q.written_at, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') as since, to_nchar(substr(q.key_text, 1, 500)) as beginning,
  0 as is_kept, q.key_text as key_text
from "QZ"."QZ_SOURCE_QUARANTINE" q
) order by since, beginning
) where rownum <= :1;
-- :1 NUMBER 10

select place, resource_code, route, code, item, reason, since, is_kept, key_text from (
select * from (
select 'source' as place, q.resource_code as resource_code, null as route, q.code as code, q.item as item, q.reason as reason, to_char(q.written_at, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') as since, to_nchar(substr(q.key_text, 1, 500)) as beginning,
  0 as is_kept, q.key_text as key_text
from "QZ"."QZ_SOURCE_QUARANTINE" q where q.resource_code = :1
union all
select 'sink' as place, p.resource_code as resource_code, q.route as route, q.code as code, null as item, q.reason as reason, to_char(q.written_at, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') as since, to_nchar(substr(q.key_text, 1, 500)) as beginning,
  case when q.kept is null then 0 else 1 end as is_kept, q.key_text as key_text
from "QZ"."QZ_QUARANTINE" q join "QZ"."QZ_ROUTE_POSITION" p on p.route = q.route and p.part = q.part
where q.part = 'live' and (q.route = :2 or p.resource_code = :3)
) order by since, beginning
) where rownum <= :4;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "route-1"
-- :3 VARCHAR "route-1"
-- :4 NUMBER 10
