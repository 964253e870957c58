begin
  execute immediate 'create table "APP"."LICENCE" (
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
  primary key ("ID", "SEEN")
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

comment on table "APP"."LICENCE" is '食品经营许可证';

comment on column "APP"."LICENCE"."ID" is '信息项''id';

comment on column "APP"."LICENCE"."SEEN" is '信息项''seen';

comment on column "APP"."LICENCE"."SHORT" is '信息项''short';

comment on column "APP"."LICENCE"."LONG" is '信息项''long';

comment on column "APP"."LICENCE"."NUMBER" is '信息项''number';

comment on column "APP"."LICENCE"."EXACT" is '信息项''exact';

comment on column "APP"."LICENCE"."FLAG" is '信息项''flag';

comment on column "APP"."LICENCE"."DAY" is '信息项''day';

comment on column "APP"."LICENCE"."MOMENT" is '信息项''moment';

comment on column "APP"."LICENCE"."INSTANT" is '信息项''instant';

comment on column "APP"."LICENCE"."CLOCK" is '信息项''clock';

comment on column "APP"."LICENCE"."BYTES" is '信息项''bytes';

comment on column "APP"."LICENCE"."DOC" is '信息项''doc';
