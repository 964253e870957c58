drop table "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7" purge;

begin
  execute immediate 'create table "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7" (
  "ID" varchar2(60 char) not null,
  "SEEN" timestamp(6) with local time zone not null,
  "SHORT" varchar2(12 char),
  "LONG" clob,
  "NUMBER" number(*,0),
  "EXACT" number(38,20),
  "FLAG" number(1),
  "DAY" date,
  "MOMENT" timestamp(6),
  "INSTANT" timestamp(6) with time zone,
  "CLOCK" interval day(1) to second(6),
  "BYTES" blob,
  "DOC" clob,
  "QZ_SOURCE" varchar2(64 char),
  "QZ_POSITION" number(19),
  "QZ_RECEIVED_AT" timestamp(6) with time zone,
  primary key ("ID", "SEEN")
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;;

comment on table "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7" is '食品经营许可证';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."ID" is '信息项''id';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."SEEN" is '信息项''seen';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."SHORT" is '信息项''short';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."LONG" is '信息项''long';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."NUMBER" is '信息项''number';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."EXACT" is '信息项''exact';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."FLAG" is '信息项''flag';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."DAY" is '信息项''day';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."MOMENT" is '信息项''moment';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."INSTANT" is '信息项''instant';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."CLOCK" is '信息项''clock';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."BYTES" is '信息项''bytes';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."DOC" is '信息项''doc';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."QZ_SOURCE" is '数据来源机关';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."QZ_POSITION" is '交换批次位置';

comment on column "QZ"."QZ_SHADOW_ROUTE_1_84FA41F7"."QZ_RECEIVED_AT" is '接收时间';

delete from "QZ"."QZ_ROUTE_POSITION" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

delete from "QZ"."QZ_QUARANTINE" where route = :1 and part = :2;
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"

insert into "QZ"."QZ_ROUTE_POSITION" (route, part, schema_version, table_name, source_code, resource_code, written_at, items, key_items, former, mapping)
values (:1, :2, :3, :4, :5, :6, sys_extract_utc(systimestamp),
  :7, :8, :9, :10);
-- :1 VARCHAR "route-1"
-- :2 VARCHAR "shadow"
-- :3 NUMBER 1
-- :4 VARCHAR "delivered"
-- :5 VARCHAR "scjg"
-- :6 VARCHAR "scjg.licence"
-- :7 VARCHAR "{\"id\":\"id\",\"seen\":\"seen\",\"short\":\"short\",\"long\":\"long\",\"number\":\"number\",\"exact\":\"exact\",\"flag\":\"flag\",\"day\":\"day\",\"moment\":\"moment\",\"instant\":\"instant\",\"clock\":\"clock\",\"bytes\":\"bytes\",\"doc\":\"doc\"}"
-- :8 VARCHAR "[\"id\",\"seen\"]"
-- :9 VARCHAR "[]"
-- :10 VARCHAR ""

-- commit
