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

update "QZ"."QZ_ROUTE_POSITION" set removal = 'begun', removed = 0, epoch = null, seq = null, hash = null, began_epoch = null, began_seq = null,
  complete = 0 where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

-- commit

drop table "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7" purge;

select distinct table_name from "QZ"."QZ_ROUTE_POSITION" where part = 'live' and route <> :1 and table_name is not null
and source_code = :2 and removal is null;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "scjg"

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "FORMER"

delete from "QZ"."DELIVERED" where "QZ_SOURCE" = :1 and rownum <= :2;
-- :1 VARCHAR "scjg"
-- :2 NUMBER 5000

update "QZ"."QZ_ROUTE_POSITION" set removal = :1, removed = removed + :2 where route = :3 and part = :4;
-- :1 VARCHAR "done"
-- :2 NUMBER 1
-- :3 VARCHAR "route-1"
-- :4 VARCHAR "live"

-- commit

select table_name, source_code, removal, removed, former from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

select route, removal from "QZ"."QZ_ROUTE_POSITION" where removal is not null;

delete from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "ended"
-- :2 VARCHAR "live"
