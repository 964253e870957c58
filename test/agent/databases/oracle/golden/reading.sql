-- rows of keys
select t."ID" as c1, to_char(t."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c2, t."SHORT" as c3, case when length(t."LONG") <= 1048576 then t."LONG" end as c4, to_char(t."NUMBER", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c5, to_char(t."EXACT", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c6, to_char(t."FLAG", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c7, to_char(t."DAY", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c8, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c9, to_char(t."INSTANT" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c10, to_char(t."CLOCK") as c11, case when length(t."BYTES") <= 1048576 then t."BYTES" end as c12, case when length(t."DOC") <= 1048576 then t."DOC" end as c13, length(t."LONG") as l4, length(t."BYTES") as l12, length(t."DOC") as l13
from "APP"."LICENCE" t
where (t."ID", t."SEEN") in (select :1, cast(to_timestamp_tz(:2, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual);

-- rows of several keys
select t."ID" as c1, to_char(t."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c2, t."SHORT" as c3, case when length(t."LONG") <= 1048576 then t."LONG" end as c4, to_char(t."NUMBER", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c5, to_char(t."EXACT", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c6, to_char(t."FLAG", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c7, to_char(t."DAY", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c8, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c9, to_char(t."INSTANT" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c10, to_char(t."CLOCK") as c11, case when length(t."BYTES") <= 1048576 then t."BYTES" end as c12, case when length(t."DOC") <= 1048576 then t."DOC" end as c13, length(t."LONG") as l4, length(t."BYTES") as l12, length(t."DOC") as l13
from "APP"."LICENCE" t
where (t."ID", t."SEEN") in (select :1, cast(to_timestamp_tz(:2, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :3, cast(to_timestamp_tz(:4, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :5, cast(to_timestamp_tz(:6, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :7, cast(to_timestamp_tz(:8, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :9, cast(to_timestamp_tz(:10, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :11, cast(to_timestamp_tz(:12, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :13, cast(to_timestamp_tz(:14, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :15, cast(to_timestamp_tz(:16, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :17, cast(to_timestamp_tz(:18, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual union all select :19, cast(to_timestamp_tz(:20, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone) from dual);

-- rows of one padded key column of a view
select rtrim(t."ID") as c1, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c2
from "APP"."LICENCE" t
where t."ID" in (cast(:1 as char(20 byte))) and t."ID" = :2;

-- the first rows
select * from (
select /*+ index(t "SYS_C001") */ t."ID" as c1, to_char(t."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c2, t."SHORT" as c3, case when length(t."LONG") <= 1048576 then t."LONG" end as c4, to_char(t."NUMBER", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c5, to_char(t."EXACT", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c6, to_char(t."FLAG", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c7, to_char(t."DAY", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c8, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c9, to_char(t."INSTANT" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c10, to_char(t."CLOCK") as c11, case when length(t."BYTES") <= 1048576 then t."BYTES" end as c12, case when length(t."DOC") <= 1048576 then t."DOC" end as c13, length(t."LONG") as l4, length(t."BYTES") as l12, length(t."DOC") as l13
from "APP"."LICENCE" t
order by t."ID", t."SEEN"
) where rownum <= :1;

-- the rows after a key
select * from (
select /*+ index(t "SYS_C001") */ t."ID" as c1, to_char(t."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c2, t."SHORT" as c3, case when length(t."LONG") <= 1048576 then t."LONG" end as c4, to_char(t."NUMBER", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c5, to_char(t."EXACT", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c6, to_char(t."FLAG", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c7, to_char(t."DAY", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c8, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c9, to_char(t."INSTANT" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c10, to_char(t."CLOCK") as c11, case when length(t."BYTES") <= 1048576 then t."BYTES" end as c12, case when length(t."DOC") <= 1048576 then t."DOC" end as c13, length(t."LONG") as l4, length(t."BYTES") as l12, length(t."DOC") as l13
from "APP"."LICENCE" t
where t."ID" >= :1 and ((t."ID" > :2) or (t."ID" = :3 and t."SEEN" > cast(to_timestamp_tz(:4, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') as timestamp(6) with local time zone)))
order by t."ID", t."SEEN"
) where rownum <= :5;

-- the rows of a view after a key
select * from (
select rtrim(t."ID") as c1, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c2
from "APP"."LICENCE" t
where t."ID" > cast(:1 as char(20 byte)) and t."ID" = :2
order by t."ID"
) where rownum <= :3;

-- keys since a watermark
select * from (
select to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as w, rtrim(t."ID") as k1
from "APP"."LICENCE" t
where t."MOMENT" is not null and t."MOMENT" >= to_date(:1, 'YYYY-MM-DD"T"HH24:MI:SS') and (t."MOMENT" > to_date(:2, 'YYYY-MM-DD"T"HH24:MI:SS') or (t."MOMENT" = to_date(:3, 'YYYY-MM-DD"T"HH24:MI:SS') and t."ID" > cast(:4 as char(20 byte)))) and t."ID" = :5
order by t."MOMENT", t."ID"
) where rownum <= :6;

-- keys from the first on
select * from (
select to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as w, rtrim(t."ID") as k1
from "APP"."LICENCE" t
where t."MOMENT" is not null and t."ID" = :1
order by t."MOMENT", t."ID"
) where rownum <= :2;

-- count
select /*+ full(t) */ count(*) from "APP"."LICENCE" t
where t."ID" = :1;

-- rows without a key
select 1 from "APP"."LICENCE" t
where (rtrim(t."ID") is null) and t."ID" = :1 and rownum = 1;

-- a look
select t."ID" as c1, to_char(t."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c2, t."SHORT" as c3, case when length(t."LONG") <= 1048576 then t."LONG" end as c4, to_char(t."NUMBER", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c5, to_char(t."EXACT", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c6, to_char(t."FLAG", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') as c7, to_char(t."DAY", 'SYYYY-MM-DD"T"HH24:MI:SS', 'NLS_CALENDAR=GREGORIAN') as c8, to_char(t."MOMENT", 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c9, to_char(t."INSTANT" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN') as c10, to_char(t."CLOCK") as c11, case when length(t."BYTES") <= 1048576 then t."BYTES" end as c12, case when length(t."DOC") <= 1048576 then t."DOC" end as c13, length(t."LONG") as l4, length(t."BYTES") as l12, length(t."DOC") as l13
from "APP"."LICENCE" t
where t."SHORT" = :1 and length(t."LONG") <= 1000 and to_char(substr(t."LONG", 1, 1000)) = :2 and t."DAY" = to_date(:3, 'YYYY-MM-DD"T"HH24:MI:SS') and t."NUMBER" is null and rownum <= :4;

-- tables and views
select * from (
select f.owner, f.name, f.kind, c.comments, f.num_rows from (
  select owner, table_name as name, 'TABLE' as kind, num_rows from all_tables where dropped = 'NO' and nested = 'NO' and secondary = 'N'
  union all select owner, view_name, 'VIEW', null from all_views) f
left join all_tab_comments c on c.owner = f.owner and c.table_name = f.name
where f.owner not in (select username from all_users where oracle_maintained = 'Y') and f.name not like 'QZ\_%' escape '\' and instr(f.owner, '.') = 0 and instr(f.name, '.') = 0
order by case when f.owner = :1 then 0 else 1 end, f.owner, f.name
) where rownum <= :2

-- tables and views of 11.2
select * from (
select f.owner, f.name, f.kind, c.comments, f.num_rows from (
  select owner, table_name as name, 'TABLE' as kind, num_rows from all_tables where dropped = 'NO' and nested = 'NO' and secondary = 'N'
  union all select owner, view_name, 'VIEW', null from all_views) f
left join all_tab_comments c on c.owner = f.owner and c.table_name = f.name
where f.owner not in ('ANONYMOUS', 'APEX_PUBLIC_USER', 'APPQOSSYS', 'AUDSYS', 'CTXSYS', 'DBSNMP', 'DIP', 'DVSYS', 'EXFSYS', 'FLOWS_FILES', 'GSMADMIN_INTERNAL', 'LBACSYS', 'MDDATA', 'MDSYS', 'MGMT_VIEW', 'OJVMSYS', 'OLAPSYS', 'ORACLE_OCM', 'ORDDATA', 'ORDPLUGINS', 'ORDSYS', 'OUTLN', 'OWBSYS', 'SI_INFORMTN_SCHEMA', 'SPATIAL_CSW_ADMIN_USR', 'SPATIAL_WFS_ADMIN_USR', 'SYS', 'SYSMAN', 'SYSTEM', 'WMSYS', 'XDB', 'XS$NULL') and f.owner not like 'APEX\_%' escape '\' and f.name not like 'QZ\_%' escape '\' and instr(f.owner, '.') = 0 and instr(f.name, '.') = 0
order by case when f.owner = :1 then 0 else 1 end, f.owner, f.name
) where rownum <= :2

-- dates with times
select count(case when "DAY" <> trunc("DAY") then 1 end) from (select "DAY" from "APP"."LICENCE" where rownum <= 1000)

-- settings of every session
alter session set nls_comp = binary nls_sort = binary nls_numeric_characters = '.,' nls_calendar = gregorian nls_length_semantics = byte;
alter session set nls_date_format = 'YYYY-MM-DD HH24:MI:SS' nls_timestamp_format = 'YYYY-MM-DD HH24:MI:SS.FF6' nls_timestamp_tz_format = 'YYYY-MM-DD HH24:MI:SS.FF6 TZH:TZM';
alter session set time_zone = '+00:00';
alter session set nls_nchar_conv_excp = true;
alter session set ddl_lock_timeout = 20
