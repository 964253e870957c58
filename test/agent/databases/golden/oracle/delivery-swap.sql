select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.swapping, p.table_name, p.items, p.key_items, p.former,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part)
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

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

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.swapping, p.table_name, p.items, p.key_items, p.former,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part)
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

update "QZ"."QZ_ROUTE_POSITION" set swapping = 1 where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_SHADOW_DELIVERED"
-- :4 VARCHAR "QZ_SHADOW_DELIVERED"

select column_name, data_type, nullable, char_length, data_length, char_used, data_precision, data_scale, column_id, data_default
from all_tab_cols where owner = :1 and table_name = :2 and hidden_column = 'NO' order by column_id;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_SHADOW_DELIVERED"

select c.constraint_type, c.constraint_name, c.index_name, k.column_name, k.position
from all_constraints c join all_cons_columns k on k.owner = c.owner and k.constraint_name = c.constraint_name and k.table_name = c.table_name
where c.owner = :1 and c.table_name = :2 and c.constraint_type in ('P', 'U') and c.status = 'ENABLED' and c.index_name is not null
union all select 'I', null, i.index_name, k.column_name, k.column_position
from all_indexes i join all_ind_columns k on k.index_owner = i.owner and k.index_name = i.index_name
where i.table_owner = :3 and i.table_name = :4 and i.uniqueness = 'UNIQUE' and i.status <> 'UNUSABLE'
order by 1, 2, 3, 5;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_SHADOW_DELIVERED"
-- :3 VARCHAR "QZ"
-- :4 VARCHAR "QZ_SHADOW_DELIVERED"

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

select privilege, grantee, grantable from all_tab_privs where table_schema = :1 and table_name = :2;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "DELIVERED"

grant SELECT on "QZ"."QZ_SHADOW_DELIVERED" to "READER";

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_OLD_DELIVERED"
-- :4 VARCHAR "QZ_OLD_DELIVERED"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_OLD_DELIVERED"

alter table "QZ"."DELIVERED" rename to "QZ_OLD_DELIVERED";

alter table "QZ"."QZ_SHADOW_DELIVERED" rename to "DELIVERED";

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.swapping, p.table_name, p.items, p.key_items, p.former,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part)
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

delete from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

delete from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

update "QZ"."QZ_ROUTE_POSITION" set part = 'live', swapping = 0, former = :1
where route = :2 and part = :3;
-- :1 VARCHAR "[]"
-- :2 VARCHAR "route-1"
-- :3 VARCHAR "shadow"

update "QZ"."QZ_QUARANTINE" set part = 'live' where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

-- commit

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_OLD_DELIVERED"
-- :4 VARCHAR "QZ_OLD_DELIVERED"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_OLD_DELIVERED"
