select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

savepoint qz_rows;

select key_text from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

select rowidtochar(t.rowid) from "QZ"."DELIVERED" t where t."QZ_SOURCE" = :1 and t."QZ_DELETED" = 0
and not exists (select 1 from "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7" s where s."QZ_SOURCE" = :2 and s."ID" = t."ID" and s."SEEN" = t."SEEN");
-- :1 VARCHAR "scjg"
-- :2 VARCHAR "scjg"

select rowidtochar(rowid) from "QZ"."DELIVERED" where ("ID" = :1 and "SEEN" = cast(to_timestamp_tz(:2, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone));
-- :1 VARCHAR "a"
-- :2 VARCHAR "2026-11-22T08:30:00.000000+00:00"

merge into "QZ"."DELIVERED" t using "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7" s on (t."ID" = s."ID" and t."SEEN" = s."SEEN" and t."QZ_SOURCE" = s."QZ_SOURCE")
when matched then update set t."SHORT" = s."SHORT", t."LONG" = s."LONG", t."NUMBER" = s."NUMBER", t."EXACT" = s."EXACT", t."FLAG" = s."FLAG", t."DAY" = s."DAY", t."MOMENT" = s."MOMENT", t."INSTANT" = s."INSTANT", t."CLOCK" = s."CLOCK", t."BYTES" = s."BYTES", t."DOC" = s."DOC", t."QZ_POSITION" = s."QZ_POSITION", t."QZ_RECEIVED_AT" = s."QZ_RECEIVED_AT", t."QZ_DELETED" = s."QZ_DELETED"
when not matched then insert (t."ID", t."SEEN", t."SHORT", t."LONG", t."NUMBER", t."EXACT", t."FLAG", t."DAY", t."MOMENT", t."INSTANT", t."CLOCK", t."BYTES", t."DOC", t."QZ_SOURCE", t."QZ_POSITION", t."QZ_RECEIVED_AT", t."QZ_DELETED") values (s."ID", s."SEEN", s."SHORT", s."LONG", s."NUMBER", s."EXACT", s."FLAG", s."DAY", s."MOMENT", s."INSTANT", s."CLOCK", s."BYTES", s."DOC", s."QZ_SOURCE", s."QZ_POSITION", s."QZ_RECEIVED_AT", s."QZ_DELETED");

select /*+ full(t) */ count(*) from "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7" t;

select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
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

update "QZ"."QZ_ROUTE_POSITION" set part = 'live', former = :1 where route = :2 and part = :3;
-- :1 VARCHAR "[]"
-- :2 VARCHAR "route-1"
-- :3 VARCHAR "shadow"

update "QZ"."QZ_QUARANTINE" set part = 'live' where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

-- commit

drop table "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7" purge;

select items from "QZ"."QZ_ROUTE_POSITION" where route <> :1 and table_name = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "delivered"

select count(*) from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"
