select (select count(*) from all_tab_privs where table_schema = :1 and table_name = :2 and privilege in ('SELECT', 'READ'))
  + (select count(*) from session_privs where privilege in ('SELECT ANY TABLE', 'READ ANY TABLE')) from dual;
-- :1 VARCHAR "APP"
-- :2 VARCHAR "LICENCE"

select to_char(sys_extract_utc(systimestamp), 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') from dual;
