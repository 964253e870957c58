-- longer and further items
alter table "QZ"."DELIVERED" modify ("ID" varchar2(90 char));
alter table "QZ"."DELIVERED" add ("QZ_NEW_SHORT" clob);
update "QZ"."DELIVERED" set "QZ_NEW_SHORT" = "SHORT";
alter table "QZ"."DELIVERED" drop column "SHORT";
alter table "QZ"."DELIVERED" rename column "QZ_NEW_SHORT" to "SHORT";
alter table "QZ"."DELIVERED" add ("EXTRA" varchar2(9 char));
comment on column "QZ"."DELIVERED"."EXTRA" is '信息项''extra';

-- the end of a column’s move that a crash parted
alter table "QZ"."DELIVERED" modify ("ID" varchar2(90 char));
alter table "QZ"."DELIVERED" rename column "QZ_NEW_SHORT" to "SHORT";
alter table "QZ"."DELIVERED" add ("EXTRA" varchar2(9 char));
comment on column "QZ"."DELIVERED"."EXTRA" is '信息项''extra';

-- another key
alter table "QZ"."DELIVERED" drop primary key cascade drop index;
alter table "QZ"."DELIVERED" modify ("FLAG" not null);
alter table "QZ"."DELIVERED" add primary key ("ID", "SEEN", "FLAG");

-- another key with the source
drop index "QZ"."U1";
alter table "QZ"."DELIVERED" modify ("QZ_SOURCE" not null);
alter table "QZ"."DELIVERED" modify ("FLAG" not null);
alter table "QZ"."DELIVERED" add primary key ("QZ_SOURCE", "ID", "SEEN", "FLAG");

-- a shadow
create table "QZ"."QZ_SHADOW_DELIVERED" (
  "ID" varchar2(90 char) not null,
  "SEEN" timestamp(6) with local time zone not null,
  "SHORT" clob,
  "LONG" clob,
  "NUMBER" number(*,0),
  "EXACT" number(38,20),
  "FLAG" number(1) not null,
  "DAY" date,
  "MOMENT" timestamp(6),
  "INSTANT" timestamp(6) with time zone,
  "CLOCK" interval day(1) to second(6),
  "BYTES" blob,
  "DOC" clob,
  "EXTRA" varchar2(9 char),
  "QZ_SOURCE" varchar2(64 char),
  "QZ_POSITION" number(19),
  "QZ_RECEIVED_AT" timestamp(6) with time zone,
  primary key ("ID", "SEEN", "FLAG")
);

-- a shadow with a column of the receiver’s own
create table "QZ"."QZ_SHADOW_DELIVERED" as select "REMARK" from "QZ"."DELIVERED" where 1 = 0;
alter table "QZ"."QZ_SHADOW_DELIVERED" add (
  "ID" varchar2(90 char) not null,
  "SEEN" timestamp(6) with local time zone not null,
  "SHORT" clob,
  "LONG" clob,
  "NUMBER" number(*,0),
  "EXACT" number(38,20),
  "FLAG" number(1) not null,
  "DAY" date,
  "MOMENT" timestamp(6),
  "INSTANT" timestamp(6) with time zone,
  "CLOCK" interval day(1) to second(6),
  "BYTES" blob,
  "DOC" clob,
  "EXTRA" varchar2(9 char),
  "QZ_SOURCE" varchar2(64 char),
  "QZ_POSITION" number(19),
  "QZ_RECEIVED_AT" timestamp(6) with time zone
);
alter table "QZ"."QZ_SHADOW_DELIVERED" add primary key ("ID", "SEEN", "FLAG");
