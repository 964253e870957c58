select sys_context('userenv', 'session_user'), sys_context('userenv', 'database_role'),
  (select value from nls_database_parameters where parameter = 'NLS_CHARACTERSET'),
  (select value from nls_database_parameters where parameter = 'NLS_NCHAR_CHARACTERSET') from dual;

select table_name from all_tables where owner = :1 and table_name in (:2, :3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_SOURCE_QUARANTINE"
-- :3 VARCHAR "QZ_QUARANTINE"
-- :4 VARCHAR "QZ_ROUTE_POSITION"

select * from (
select q.resource_code, q.code, q.item, to_char(q.written_at, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') as since, q.reason, q.key_text from "QZ"."QZ_SOURCE_QUARANTINE" q order by q.written_at
) where rownum <= :1;
-- :1 NUMBER 10

select * from (
select q.resource_code, q.code, q.item, to_char(q.written_at, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') as since, q.reason, q.key_text from "QZ"."QZ_SOURCE_QUARANTINE" q where q.resource_code = :1 order by q.written_at
) where rownum <= :2;
-- :1 VARCHAR "route-1"
-- :2 NUMBER 10

select * from (
select p.resource_code, q.route, case when q.kept is null then 0 else 1 end as is_kept, q.code, q.item, to_char(q.written_at, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') as since, q.reason, q.key_text from "QZ"."QZ_QUARANTINE" q inner join "QZ"."QZ_ROUTE_POSITION" p on p.route = q.route and p.part = q.part where q.part = 'live' and (q.route = :1 or p.resource_code = :2) order by q.written_at
) where rownum <= :3;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "route-1"
-- :3 NUMBER 10
