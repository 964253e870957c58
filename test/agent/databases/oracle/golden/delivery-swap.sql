select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.swapping, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.swapping, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

update "QZ"."QZ_ROUTE_POSITION" set swapping = 1 where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

select privilege, grantee, grantable from all_tab_privs where table_schema = :1 and table_name = :2;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "DELIVERED"

grant SELECT on "QZ"."QZ_SHADOW_DELIVERED" to "READER";

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where upper(owner) in (:1) and upper(name) in (:2);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_OLD_DELIVERED"

alter table "QZ"."DELIVERED" rename to "QZ_OLD_DELIVERED";

alter table "QZ"."QZ_SHADOW_DELIVERED" rename to "DELIVERED";

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.swapping, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

delete from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

delete from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

update "QZ"."QZ_ROUTE_POSITION" set part = 'live', swapping = 0, former = :1 where route = :2 and part = :3;
-- :1 VARCHAR "[]"
-- :2 VARCHAR "route-1"
-- :3 VARCHAR "shadow"

update "QZ"."QZ_QUARANTINE" set part = 'live' where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

-- commit
