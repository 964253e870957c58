select table_name from all_tables where owner = :1 and table_name in (:2, :3);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_ROUTE_POSITION"
-- :3 VARCHAR "QZ_QUARANTINE"

select table_name, source_code, removal, removed, former from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

delete from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

delete from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

delete from "QZ"."QZ_QUARANTINE" where route = :1;
-- :1 VARCHAR "route-1"

update "QZ"."QZ_ROUTE_POSITION" set removal = 'begun', removed = 0, epoch = null, seq = null, hash = null, began_epoch = null,
  began_seq = null, complete = 0 where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

-- commit

select 1 from "QZ"."QZ_ROUTE_POSITION" where part = 'live' and route <> :1 and table_name = :2
and source_code = :3 and removal is null;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "former"
-- :3 VARCHAR "scjg"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_SHADOW_FORMER_ROUT_6C06951F"
-- :4 VARCHAR "QZ_SHADOW_FORMER_ROUT_6C06951F"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_SHADOW_FORMER_ROUT_6C06951F"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_OLD_FORMER_ROUT_6C06951F"
-- :4 VARCHAR "QZ_OLD_FORMER_ROUT_6C06951F"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_OLD_FORMER_ROUT_6C06951F"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_SHADOW_FORMER"
-- :4 VARCHAR "QZ_SHADOW_FORMER"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_SHADOW_FORMER"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_OLD_FORMER"
-- :4 VARCHAR "QZ_OLD_FORMER"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_OLD_FORMER"

select 1 from "QZ"."QZ_ROUTE_POSITION" where part = 'live' and route <> :1 and table_name = :2
and source_code = :3 and removal is null;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "delivered"
-- :3 VARCHAR "scjg"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_SHADOW_DELIVERED_R_A7EF84D4"
-- :4 VARCHAR "QZ_SHADOW_DELIVERED_R_A7EF84D4"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_SHADOW_DELIVERED_R_A7EF84D4"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "QZ_OLD_DELIVERED_R_A7EF84D4"
-- :4 VARCHAR "QZ_OLD_DELIVERED_R_A7EF84D4"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_OLD_DELIVERED_R_A7EF84D4"

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

drop table "QZ"."QZ_SHADOW_DELIVERED" purge;

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

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "former"
-- :4 VARCHAR "FORMER"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "FORMER"

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

select 1 from "QZ"."QZ_ROUTE_POSITION" where part = 'live' and route <> :1 and table_name = :2
and source_code = :3 and removal is null;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "delivered"
-- :3 VARCHAR "scjg"

delete from "QZ"."DELIVERED" where "QZ_SOURCE" = :1 and rownum <= :2;
-- :1 VARCHAR "scjg"
-- :2 NUMBER 5000

update "QZ"."QZ_ROUTE_POSITION" set removal = :1, removed = removed + :2
where route = :3 and part = :4;
-- :1 VARCHAR "done"
-- :2 NUMBER 1
-- :3 VARCHAR "route-1"
-- :4 VARCHAR "live"

-- commit

select table_name, source_code, removal, removed, former from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

select table_name from all_tables where owner = :1 and table_name in (:2, :3);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_ROUTE_POSITION"
-- :3 VARCHAR "QZ_QUARANTINE"

select route, removal from "QZ"."QZ_ROUTE_POSITION" where removal is not null;

delete from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "ended"
-- :2 VARCHAR "live"
