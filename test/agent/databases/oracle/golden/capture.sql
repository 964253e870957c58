select sys_context('userenv', 'session_user'), sys_context('userenv', 'database_role'),
  (select value from nls_database_parameters where parameter = 'NLS_CHARACTERSET'),
  (select value from nls_database_parameters where parameter = 'NLS_NCHAR_CHARACTERSET') from dual;

select purpose from "QZ"."QZ_LOCK" where purpose = 'capture' for update nowait;

select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where owner in (:1, :2) and name in (:3, :4);
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ"
-- :3 VARCHAR "licence"
-- :4 VARCHAR "LICENCE"

select column_name, data_type, nullable, char_length, data_length, char_used, data_precision, data_scale, column_id, data_default
from all_tab_cols where owner = :1 and table_name = :2 and hidden_column = 'NO' order by column_id;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "LICENCE"

select c.constraint_type, c.constraint_name, c.index_name, k.column_name, k.position
from all_constraints c join all_cons_columns k on k.owner = c.owner and k.constraint_name = c.constraint_name and k.table_name = c.table_name
where c.owner = :1 and c.table_name = :2 and c.constraint_type in ('P', 'U') and c.status = 'ENABLED' and c.index_name is not null
union all select 'I', null, i.index_name, k.column_name, k.column_position
from all_indexes i join all_ind_columns k on k.index_owner = i.owner and k.index_name = i.index_name
where i.table_owner = :3 and i.table_name = :4 and i.uniqueness = 'UNIQUE' and i.status <> 'UNUSABLE'
order by 1, 2, 3, 5;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "LICENCE"
-- :3 VARCHAR "QZ"
-- :4 VARCHAR "LICENCE"

select t.status, to_char(o.object_id), t.trigger_body
from all_triggers t join all_objects o on o.owner = t.owner and o.object_name = t.trigger_name and o.object_type = 'TRIGGER'
where t.owner = :1 and t.trigger_name = :2 and t.table_owner = :3 and t.table_name = :4;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_T_SCJG_LICENCE_E9E61FDF"
-- :3 VARCHAR "QZ"
-- :4 VARCHAR "LICENCE"

select to_char(object_id) from all_objects where owner = :1 and object_name = :2 and object_type = 'TABLE';
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "QZ_Q_SCJG_LICENCE_E9E61FDF"

select object_type, subobject_name, to_char(object_id), to_char(data_object_id), o.timestamp from all_objects o
where owner = :1 and object_name = :2 and object_type in ('TABLE', 'TABLE PARTITION', 'TABLE SUBPARTITION')
order by object_type, object_id;
-- :1 VARCHAR "QZ"
-- :2 VARCHAR "LICENCE"

select s.epoch, s.seq, s.hash, s.snapshot, s.began_epoch, s.began_seq, s.coverage,
  (select count(*) from "QZ"."QZ_SOURCE_QUARANTINE" q where q.resource_code = s.resource_code), s.after_key
from "QZ"."QZ_STREAM" s where s.resource_code = :1;
-- :1 VARCHAR "scjg.licence"

select table_name from all_tables where owner = :1 and table_name like 'QZ\_Q\_%' escape '\' and dropped = 'NO';
-- :1 VARCHAR "QZ"

select * from (
select /*+ index(q (id)) */ q.id, q.marked, q.k1, q.k2 from "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" q order by q.id
) where rownum <= :1;
-- :1 NUMBER 11

update "QZ"."QZ_QUEUE" set ceiling = :1 where queue_name = :2 and ceiling < :3;
-- :1 NUMBER 671098
-- :2 VARCHAR "QZ_Q_SCJG_LICENCE_E9E61FDF"
-- :3 NUMBER 671098

select t."ID" as c1, to_char(t."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c2, t."SHORT" as c3, case when length(t."LONG") <= 1048576 then t."LONG" end as c4, to_char(t."NUMBER", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c5, to_char(t."EXACT", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c6, to_char(t."FLAG", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c7, to_char(t."DAY", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c8, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c9, to_char(t."INSTANT" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c10, to_char(t."CLOCK") as c11, case when length(t."BYTES") <= 1048576 then t."BYTES" end as c12, case when length(t."DOC") <= 1048576 then t."DOC" end as c13, length(t."LONG") as l4, length(t."BYTES") as l12, length(t."DOC") as l13
from "QZ"."LICENCE" t
where (t."ID", t."SEEN") in (select :1, cast(to_timestamp_tz(:2, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual);
-- :1 VARCHAR "a"
-- :2 VARCHAR "2026-11-22T08:30:00.500000+00:00"

select k.place as place, case when t."ID" is null then 0 else 1 end as is_there, t."ID" as c1, to_char(t."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c2, t."SHORT" as c3, case when length(t."LONG") <= 1048576 then t."LONG" end as c4, to_char(t."NUMBER", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c5, to_char(t."EXACT", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c6, to_char(t."FLAG", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c7, to_char(t."DAY", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c8, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c9, to_char(t."INSTANT" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c10, to_char(t."CLOCK") as c11, case when length(t."BYTES") <= 1048576 then t."BYTES" end as c12, case when length(t."DOC") <= 1048576 then t."DOC" end as c13, length(t."LONG") as l4, length(t."BYTES") as l12, length(t."DOC") as l13
from (select :1 as place, :2 as k1, cast(to_timestamp_tz(:3, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) as k2 from dual) k left join "QZ"."LICENCE" t on t."ID" = k.k1 and t."SEEN" = k.k2;
-- :1 NUMBER 0
-- :2 VARCHAR "a"
-- :3 VARCHAR "2026-11-22T08:30:00.500000+00:00"

delete from "QZ"."QZ_SOURCE_QUARANTINE" where resource_code = :1;
-- :1 VARCHAR "scjg.licence"

update "QZ"."QZ_STREAM" set epoch = :1, seq = :2, hash = :3, snapshot = :4, began_epoch = :5, began_seq = :6,
  after_key = :7 where resource_code = :8 and epoch = :9 and seq = :10 and hash = :11;
-- :1 NUMBER 1
-- :2 NUMBER 5
-- :3 VARCHAR "bd82a28b1f088b3a186737712fb16fe7323aecb3abc234b38c9534349aaa1757"
-- :4 VARCHAR "running"
-- :5 NUMBER 1
-- :6 NUMBER 5
-- :7 VARCHAR "[\"b\",\"x\"]"
-- :8 VARCHAR "scjg.licence"
-- :9 NUMBER 1
-- :10 NUMBER 4
-- :11 VARCHAR "f70b94aeb67de2a5eb4bd8c2ea85128f13776cb545a661abe422b378a6cf3099"

delete from "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" where id = to_number(:1);
-- for 2 rows
-- :1 VARCHAR(2) ["11","12"]

delete from "QZ"."QZ_SOURCE_QUARANTINE" where resource_code = :1 and key_hash in (:2);
-- :1 VARCHAR "scjg.licence"
-- :2 VARCHAR "ce8b78724affc3d8052d59edf0c2846cf36e2fc13d0804009c331e0d4831292c"

select key_hash from "QZ"."QZ_SOURCE_QUARANTINE" where resource_code = :1 and key_hash in (:2);
-- :1 VARCHAR "scjg.licence"
-- :2 VARCHAR "0aaa98e2de509ce3ead35afcb6d814415b4be88f253d781129eff88c103fc2ba"

insert into "QZ"."QZ_SOURCE_QUARANTINE" (resource_code, key_hash, code, item, written_at, reason, key_text)
values (:1, :2, :3, :4, sys_extract_utc(systimestamp), :5, :6);
-- :1 VARCHAR "scjg.licence"
-- :2 VARCHAR "0aaa98e2de509ce3ead35afcb6d814415b4be88f253d781129eff88c103fc2ba"
-- :3 VARCHAR "QZ-ROW-VALUE"
-- :4 VARCHAR "short"
-- :5 VARCHAR "too long"
-- :6 VARCHAR "[\"b\",\"x\"]"

-- commit

delete from "QZ"."QZ_SOURCE_QUARANTINE" where resource_code = :1 and not exists (select 1 from "QZ"."QZ_STREAM" where resource_code = :2 and began_epoch = :3);
-- :1 VARCHAR "scjg.licence"
-- :2 VARCHAR "scjg.licence"
-- :3 NUMBER 1

update "QZ"."QZ_STREAM" set epoch = :1, seq = :2, hash = :3, snapshot = :4, began_epoch = :5, began_seq = :6,
  after_key = :7 where resource_code = :8 and epoch is null and seq is null and hash is null;
-- :1 NUMBER 1
-- :2 NUMBER 6
-- :3 VARCHAR "8f854692d8bc8def84a88d511dd150de9dd8b6bfe000d5a417dde49e4a3d12c2"
-- :4 VARCHAR null
-- :5 VARCHAR null
-- :6 VARCHAR null
-- :7 VARCHAR null
-- :8 VARCHAR "scjg.licence"

-- commit

insert into "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" (id, k1, k2) values ("QZ"."QZ_S_SCJG_LICENCE_E9E61FDF".nextval, :1, :2);
-- for 2 rows
-- :1 VARCHAR(1) ["a","c"]
-- :2 VARCHAR(1) ["b","d"]

update "QZ"."QZ_STREAM" set epoch = :1, seq = :2, hash = :3 where resource_code = :4;
-- :1 NUMBER 1
-- :2 NUMBER 7
-- :3 VARCHAR "2da190e578ddcfcde27e772094a620aacca6b6b5f26f3ce58a42640b4363b509"
-- :4 VARCHAR "scjg.licence"

-- commit

update "QZ"."QZ_STREAM" set snapshot = 'needed', coverage = :1 where resource_code = :2;
-- :1 VARCHAR "abc"
-- :2 VARCHAR "scjg.licence"

delete from "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" where id = to_number(:1);
-- for 1 rows
-- :1 VARCHAR(2) ["13"]

-- commit

update "QZ"."QZ_STREAM" set snapshot = 'needed' where resource_code = :1;
-- :1 VARCHAR "scjg.licence"

-- commit

truncate table "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF";

select "QZ"."QZ_S_SCJG_LICENCE_E9E61FDF".nextval from dual;

update "QZ"."QZ_QUEUE" set ceiling = :1 where queue_name = :2 and ceiling < :3;
-- :1 NUMBER 676088
-- :2 VARCHAR "QZ_Q_SCJG_LICENCE_E9E61FDF"
-- :3 NUMBER 676088

select count(*), to_char(min(written_at), 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') from (
select /*+ index(q (id)) */ q.written_at from "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" q where q.id > 0 and rownum <= :1
);
-- :1 NUMBER 100
