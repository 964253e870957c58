select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from "QZ"."QZ_QUARANTINE" q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from "QZ"."QZ_ROUTE_POSITION" p where p.route = :1 and p.part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

update "QZ"."QZ_ROUTE_POSITION" set epoch = :1, seq = :2, hash = :3, written_at = sys_extract_utc(systimestamp) where route = :4 and part = :5 and epoch = :6 and seq = :7 and hash = :8;
-- :1 NUMBER 1
-- :2 NUMBER 2
-- :3 VARCHAR "d939926f05444b0f4495fb9629ecbfa80d99a8ec1a20d06800ca5a3d5f4fd276"
-- :4 VARCHAR "route-1"
-- :5 VARCHAR "live"
-- :6 NUMBER 1
-- :7 NUMBER 1
-- :8 VARCHAR "253d950f11ebdbeb4c2d54c57803deb69869b832a2e03010620d462a85d15290"

delete from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2 and key_hash in (:3, :4, :5, :6);
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"
-- :3 VARCHAR "ef1bc6edff204e0f0e919a9917275830095ef25c79cc502f92f378c12dd52fed"
-- :4 VARCHAR "1b530165af01a9cf7dcb526fe37fc0a094dd241aa4f7de4d1d76d21e867676b7"
-- :5 VARCHAR "1a146a12f9d0b7a14600204ec8243327d366d1e74cb3ff8a9435ca374d171601"
-- :6 VARCHAR "8991424b6b0664d1a78414ff0898f56a71b9b8b218f409370a8c8716f08f53a4"

savepoint qz_rows;

update "QZ"."DELIVERED" set "QZ_DELETED" = 1, "QZ_POSITION" = to_number(:1), "QZ_RECEIVED_AT" = systimestamp
where "ID" = :2 and "SEEN" = cast(to_timestamp_tz(:3, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) and "QZ_SOURCE" = :4 and "QZ_DELETED" = 0;
-- for 1 rows
-- :1 VARCHAR(10) ["4294967298"]
-- :2 VARCHAR(1) ["d"]
-- :3 VARCHAR(32) ["2026-11-22T08:30:00.000000+00:00"]
-- :4 VARCHAR(4) ["scjg"]

savepoint qz_rows;

update "QZ"."DELIVERED" set "QZ_POSITION" = to_number(:1), "QZ_RECEIVED_AT" = systimestamp, "QZ_DELETED" = 0, "SHORT" = :2, "NUMBER" = to_number(:3), "EXACT" = to_number(:4), "FLAG" = to_number(:5), "DAY" = to_date(:6, 'YYYY-MM-DD"T"HH24:MI:SS'), "MOMENT" = to_timestamp(:7, 'YYYY-MM-DD"T"HH24:MI:SS.FF6'), "INSTANT" = to_timestamp_tz(:8, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM'), "CLOCK" = to_dsinterval(:9), "LONG" = :10, "BYTES" = :11, "DOC" = :12
where "ID" = :13 and "SEEN" = cast(to_timestamp_tz(:14, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) and "QZ_SOURCE" = :15;
-- for 1 rows
-- :1 VARCHAR(10) ["4294967298"]
-- :2 VARCHAR(1) ["x"]
-- :3 VARCHAR(1) ["1"]
-- :4 VARCHAR(3) ["1.5"]
-- :5 VARCHAR(1) ["1"]
-- :6 VARCHAR(19) ["2026-11-22T00:00:00"]
-- :7 VARCHAR(26) ["2026-11-22T08:30:00.000000"]
-- :8 VARCHAR(32) ["2026-11-22T08:30:00.500000+00:00"]
-- :9 VARCHAR(10) ["0 08:30:00"]
-- :10 VARCHAR(3) ["长"]
-- :11 RAW(1) [{"type":"Buffer","data":[0]}]
-- :12 VARCHAR(2) ["{}"]
-- :13 VARCHAR(1) ["a"]
-- :14 VARCHAR(32) ["2026-11-22T08:30:00.000000+00:00"]
-- :15 VARCHAR(4) ["scjg"]

insert into "QZ"."DELIVERED" ("QZ_SOURCE", "QZ_POSITION", "QZ_RECEIVED_AT", "QZ_DELETED", "ID", "SEEN", "SHORT", "NUMBER", "EXACT", "FLAG", "DAY", "MOMENT", "INSTANT", "CLOCK", "LONG", "BYTES", "DOC")
values (:1, to_number(:2), systimestamp, 0, :3, cast(to_timestamp_tz(:4, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone), :5, to_number(:6), to_number(:7), to_number(:8), to_date(:9, 'YYYY-MM-DD"T"HH24:MI:SS'), to_timestamp(:10, 'YYYY-MM-DD"T"HH24:MI:SS.FF6'), to_timestamp_tz(:11, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM'), to_dsinterval(:12), :13, :14, :15);
-- for 1 rows
-- :1 VARCHAR(4) ["scjg"]
-- :2 VARCHAR(10) ["4294967298"]
-- :3 VARCHAR(1) ["a"]
-- :4 VARCHAR(32) ["2026-11-22T08:30:00.000000+00:00"]
-- :5 VARCHAR(1) ["x"]
-- :6 VARCHAR(1) ["1"]
-- :7 VARCHAR(3) ["1.5"]
-- :8 VARCHAR(1) ["1"]
-- :9 VARCHAR(19) ["2026-11-22T00:00:00"]
-- :10 VARCHAR(26) ["2026-11-22T08:30:00.000000"]
-- :11 VARCHAR(32) ["2026-11-22T08:30:00.500000+00:00"]
-- :12 VARCHAR(10) ["0 08:30:00"]
-- :13 VARCHAR(3) ["长"]
-- :14 RAW(1) [{"type":"Buffer","data":[0]}]
-- :15 VARCHAR(2) ["{}"]

update "QZ"."DELIVERED" set "QZ_POSITION" = to_number(:1), "QZ_RECEIVED_AT" = systimestamp, "QZ_DELETED" = 0, "SHORT" = :2, "NUMBER" = to_number(:3), "EXACT" = to_number(:4), "FLAG" = to_number(:5), "DAY" = to_date(:6, 'YYYY-MM-DD"T"HH24:MI:SS'), "MOMENT" = to_timestamp(:7, 'YYYY-MM-DD"T"HH24:MI:SS.FF6'), "INSTANT" = to_timestamp_tz(:8, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM'), "CLOCK" = to_dsinterval(:9), "LONG" = :10, "BYTES" = empty_blob(), "DOC" = :11
where "ID" = :12 and "SEEN" = cast(to_timestamp_tz(:13, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) and "QZ_SOURCE" = :14;
-- for 1 rows
-- :1 VARCHAR(10) ["4294967298"]
-- :2 VARCHAR(1) [null]
-- :3 VARCHAR(1) [null]
-- :4 VARCHAR(1) [null]
-- :5 VARCHAR(1) [null]
-- :6 VARCHAR(1) [null]
-- :7 VARCHAR(1) [null]
-- :8 VARCHAR(1) [null]
-- :9 VARCHAR(1) [null]
-- :10 VARCHAR(1) [null]
-- :11 VARCHAR(1) [null]
-- :12 VARCHAR(1) ["b"]
-- :13 VARCHAR(32) ["2026-11-22T08:30:00.000000+00:00"]
-- :14 VARCHAR(4) ["scjg"]

insert into "QZ"."DELIVERED" ("QZ_SOURCE", "QZ_POSITION", "QZ_RECEIVED_AT", "QZ_DELETED", "ID", "SEEN", "SHORT", "NUMBER", "EXACT", "FLAG", "DAY", "MOMENT", "INSTANT", "CLOCK", "LONG", "BYTES", "DOC")
values (:1, to_number(:2), systimestamp, 0, :3, cast(to_timestamp_tz(:4, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone), :5, to_number(:6), to_number(:7), to_number(:8), to_date(:9, 'YYYY-MM-DD"T"HH24:MI:SS'), to_timestamp(:10, 'YYYY-MM-DD"T"HH24:MI:SS.FF6'), to_timestamp_tz(:11, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM'), to_dsinterval(:12), :13, empty_blob(), :14);
-- for 1 rows
-- :1 VARCHAR(4) ["scjg"]
-- :2 VARCHAR(10) ["4294967298"]
-- :3 VARCHAR(1) ["b"]
-- :4 VARCHAR(32) ["2026-11-22T08:30:00.000000+00:00"]
-- :5 VARCHAR(1) [null]
-- :6 VARCHAR(1) [null]
-- :7 VARCHAR(1) [null]
-- :8 VARCHAR(1) [null]
-- :9 VARCHAR(1) [null]
-- :10 VARCHAR(1) [null]
-- :11 VARCHAR(1) [null]
-- :12 VARCHAR(1) [null]
-- :13 VARCHAR(1) [null]
-- :14 VARCHAR(1) [null]

delete from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2 and key_hash in (:3);
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"
-- :3 VARCHAR "1a146a12f9d0b7a14600204ec8243327d366d1e74cb3ff8a9435ca374d171601"

insert into "QZ"."QZ_QUARANTINE" (route, part, key_hash, code, item, position, op, written_at, reason, key_text, kept)
values (:1, :2, :3, :4, :5, 4294967298, :6, sys_extract_utc(systimestamp), :7, :8, :9);
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"
-- :3 VARCHAR "1a146a12f9d0b7a14600204ec8243327d366d1e74cb3ff8a9435ca374d171601"
-- :4 VARCHAR "QZ-ROW-REFUSED"
-- :5 VARCHAR "id"
-- :6 VARCHAR null
-- :7 VARCHAR "{\"zh\":\"必填，但为空文本，Oracle 视为空值\",\"en\":\"is an empty text, which Oracle holds for null, and must have a value\"}"
-- :8 VARCHAR "[\"\",\"2026-11-22T08:30:00Z\"]"
-- :9 VARCHAR null

select count(*) from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "live"

-- commit
