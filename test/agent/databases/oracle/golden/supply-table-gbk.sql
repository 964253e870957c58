begin
  execute immediate 'create table "LICENCE" (
  "ID" nvarchar2(120) not null,
  "SEEN" timestamp(6) with local time zone not null,
  "SHORT" nvarchar2(24),
  "LONG" nclob,
  "NUMBER" number(*,0),
  "EXACT" number(38,20),
  "FLAG" number(1),
  "DAY" date,
  "MOMENT" timestamp(6),
  "INSTANT" timestamp(6) with time zone,
  "CLOCK" interval day(1) to second(6),
  "BYTES" blob,
  "DOC" nclob,
  primary key ("ID", "SEEN")
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

comment on table "LICENCE" is '食品经营许可证';

comment on column "LICENCE"."ID" is '信息项''id';

comment on column "LICENCE"."SEEN" is '信息项''seen';

comment on column "LICENCE"."SHORT" is '信息项''short';

comment on column "LICENCE"."LONG" is '信息项''long';

comment on column "LICENCE"."NUMBER" is '信息项''number';

comment on column "LICENCE"."EXACT" is '信息项''exact';

comment on column "LICENCE"."FLAG" is '信息项''flag';

comment on column "LICENCE"."DAY" is '信息项''day';

comment on column "LICENCE"."MOMENT" is '信息项''moment';

comment on column "LICENCE"."INSTANT" is '信息项''instant';

comment on column "LICENCE"."CLOCK" is '信息项''clock';

comment on column "LICENCE"."BYTES" is '信息项''bytes';

comment on column "LICENCE"."DOC" is '信息项''doc';
