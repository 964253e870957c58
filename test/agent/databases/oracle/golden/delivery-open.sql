select sys_context('userenv', 'session_user'), sys_context('userenv', 'database_role'),
  (select value from nls_database_parameters where parameter = 'NLS_CHARACTERSET'),
  (select value from nls_database_parameters where parameter = 'NLS_NCHAR_CHARACTERSET') from dual;

select purpose from "QZ"."QZ_LOCK" where purpose = 'delivery' for update nowait;

select table_name from all_tables where owner = :1 and table_name in (:2, :3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_SOURCE_QUARANTINE"
-- :3 VARCHAR "QZ_QUARANTINE"
-- :4 VARCHAR "QZ_ROUTE_POSITION"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "delivered"
-- :4 VARCHAR "DELIVERED"

select column_name, data_type, nullable, char_length, data_length, char_used, data_precision, data_scale, column_id, data_default
from all_tab_cols where owner = :1 and table_name = :2 and hidden_column = 'NO' order by column_id;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "DELIVERED"

select c.constraint_type, c.constraint_name, c.index_name, k.column_name, k.position
from all_constraints c join all_cons_columns k on k.owner = c.owner and k.constraint_name = c.constraint_name and k.table_name = c.table_name
where c.owner = :1 and c.table_name = :2 and c.constraint_type in ('P', 'U') and c.status = 'ENABLED' and c.index_name is not null
union all select 'I', null, i.index_name, k.column_name, k.column_position
from all_indexes i join all_ind_columns k on k.index_owner = i.owner and k.index_name = i.index_name
where i.table_owner = :3 and i.table_name = :4 and i.uniqueness = 'UNIQUE' and i.status <> 'UNUSABLE'
order by 1, 2, 3, 5;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "DELIVERED"
-- :3 VARCHAR "QZ"
-- :4 VARCHAR "DELIVERED"

select route, removal from "QZ"."QZ_ROUTE_POSITION" where part = 'live' and route <> :1 and table_name = :2
and source_code = :3 and resource_code = :4 and (removal is null or removal <> 'done');
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "delivered"
-- :3 VARCHAR "scjg"
-- :4 VARCHAR "scjg.licence"

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

select 1 from all_triggers where table_owner = :1 and table_name = :2 and status = 'ENABLED' and trigger_name not like 'QZ\_T\_%' escape '\' and rownum = 1;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "DELIVERED"

delete from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

delete from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

insert into "QZ"."QZ_ROUTE_POSITION" (route, part, schema_version, table_name, source_code, resource_code, written_at, items, key_items, former, mapping)
values (:1, :2, :3, :4, :5, :6, sys_extract_utc(systimestamp),
  :7, :8, :9, :10);
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"
-- :3 NUMBER 1
-- :4 VARCHAR "delivered"
-- :5 VARCHAR "scjg"
-- :6 VARCHAR "scjg.licence"
-- :7 VARCHAR "{\"id\":\"id\",\"seen\":\"seen\",\"short\":\"short\",\"long\":\"long\",\"number\":\"number\",\"exact\":\"exact\",\"flag\":\"flag\",\"day\":\"day\",\"moment\":\"moment\",\"instant\":\"instant\",\"clock\":\"clock\",\"bytes\":\"bytes\",\"doc\":\"doc\"}"
-- :8 VARCHAR "[\"id\",\"seen\"]"
-- :9 VARCHAR "[]"
-- :10 VARCHAR ""

-- commit

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

select /*+ full(t) */ count(*) from "QZ"."DELIVERED" t
where t."QZ_SOURCE" is null;

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"
