begin
  execute immediate 'create table "DELIVERED" (
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
  "QZ_SOURCE" varchar2(64 char) not null,
  "QZ_POSITION" number(19),
  "QZ_RECEIVED_AT" timestamp(6) with time zone,
  "QZ_DELETED" number(1) default 0 not null,
  primary key ("QZ_SOURCE", "ID", "SEEN")
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

comment on table "DELIVERED" is '食品经营许可证';

comment on column "DELIVERED"."ID" is '信息项''id';

comment on column "DELIVERED"."SEEN" is '信息项''seen';

comment on column "DELIVERED"."SHORT" is '信息项''short';

comment on column "DELIVERED"."LONG" is '信息项''long';

comment on column "DELIVERED"."NUMBER" is '信息项''number';

comment on column "DELIVERED"."EXACT" is '信息项''exact';

comment on column "DELIVERED"."FLAG" is '信息项''flag';

comment on column "DELIVERED"."DAY" is '信息项''day';

comment on column "DELIVERED"."MOMENT" is '信息项''moment';

comment on column "DELIVERED"."INSTANT" is '信息项''instant';

comment on column "DELIVERED"."CLOCK" is '信息项''clock';

comment on column "DELIVERED"."BYTES" is '信息项''bytes';

comment on column "DELIVERED"."DOC" is '信息项''doc';

comment on column "DELIVERED"."QZ_SOURCE" is '数据来源机关';

comment on column "DELIVERED"."QZ_POSITION" is '交换批次位置';

comment on column "DELIVERED"."QZ_RECEIVED_AT" is '接收时间';

comment on column "DELIVERED"."QZ_DELETED" is '来源已删除';
