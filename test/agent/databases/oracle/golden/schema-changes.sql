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
