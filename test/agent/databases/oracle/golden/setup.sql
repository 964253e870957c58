grant select on "APP"."LICENCE" to "QZ";

begin
  execute immediate 'create table "QZ"."QZ_LOCK" (purpose varchar2(20) not null primary key)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

insert into "QZ"."QZ_LOCK" (purpose) select 'capture' from dual where not exists (select 1 from "QZ"."QZ_LOCK" where purpose = 'capture');

insert into "QZ"."QZ_LOCK" (purpose) select 'delivery' from dual where not exists (select 1 from "QZ"."QZ_LOCK" where purpose = 'delivery');

commit;

begin
  execute immediate 'create table "QZ"."QZ_STREAM" (
  resource_code varchar2(64) not null primary key, epoch number(19), seq number(19), hash varchar2(64),
  snapshot varchar2(10), began_epoch number(19), began_seq number(19), after_key clob, coverage varchar2(64)
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

begin
  execute immediate 'create table "QZ"."QZ_SOURCE_QUARANTINE" (
  resource_code varchar2(64) not null, key_hash varchar2(64) not null, key_text clob not null,
  code varchar2(40) not null, item varchar2(64), reason varchar2(1000 char), written_at timestamp(6) not null,
  primary key (resource_code, key_hash)
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

begin
  execute immediate 'create table "QZ"."QZ_QUEUE" (
  queue_name varchar2(30) not null primary key, ceiling number(19) not null
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

begin
  execute immediate 'drop trigger "QZ"."QZ_T_SCJG_LICENCE_E9E61FDF"';
exception when others then
  if sqlcode <> -4080 then raise; end if;
end;
/

begin
  execute immediate 'drop table "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" purge';
exception when others then
  if sqlcode <> -942 then raise; end if;
end;
/

begin
  execute immediate 'drop sequence "QZ"."QZ_S_SCJG_LICENCE_E9E61FDF"';
exception when others then
  if sqlcode <> -2289 then raise; end if;
end;
/

create sequence "QZ"."QZ_S_SCJG_LICENCE_E9E61FDF" start with 1 increment by 1 cache 1000;

create table "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" (
  id number(19) not null primary key, k1 varchar2(1000 char), k2 varchar2(1000 char),
  marked number(1), written_at timestamp(3) default sys_extract_utc(systimestamp) not null
);

create index "QZ"."QZ_M_SCJG_LICENCE_E9E61FDF" on "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" (marked);

merge into "QZ"."QZ_QUEUE" t using (select 'QZ_Q_SCJG_LICENCE_E9E61FDF' as k from dual) s on (t.queue_name = s.k)
when matched then update set t.ceiling = 671088
when not matched then insert (t.queue_name, t.ceiling) values (s.k, 671088);

create trigger "QZ"."QZ_T_SCJG_LICENCE_E9E61FDF"
for insert or update or delete on "APP"."LICENCE"
compound trigger
  type texts is table of varchar2(4000) index by pls_integer;
  k1 texts;
  k2 texts;
  n pls_integer := 0;
  failed boolean := false;
  procedure leave_mark is
  begin
    execute immediate 'insert into "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" (id, marked) values ("QZ"."QZ_S_SCJG_LICENCE_E9E61FDF".nextval, 1)';
  exception when others then null;
  end leave_mark;
  procedure write_keys is
    many pls_integer := n;
    this_id number;
    last_id number;
  begin
    n := 0;
    execute immediate 'select "QZ"."QZ_S_SCJG_LICENCE_E9E61FDF".nextval, ceiling from "QZ"."QZ_QUEUE" where queue_name = ''QZ_Q_SCJG_LICENCE_E9E61FDF''' into this_id, last_id;
    if this_id > last_id then
      execute immediate 'lock table "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" in row share mode';
      execute immediate 'insert into "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" (id, marked) select :1, 1 from dual where not exists (select 1 from "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" where marked = 1)' using this_id;
    else
      forall i in 1 .. many execute immediate 'insert into "QZ"."QZ_Q_SCJG_LICENCE_E9E61FDF" (id, k1, k2) values ("QZ"."QZ_S_SCJG_LICENCE_E9E61FDF".nextval, :1, :2)' using k1(i), k2(i);
    end if;
  exception when others then leave_mark;
  end write_keys;
  after each row is
  begin
    if deleting or (updating and (nlssort(:old."ID", 'NLS_SORT=BINARY') <> nlssort(:new."ID", 'NLS_SORT=BINARY') or :old."SEEN" <> :new."SEEN")) then
      n := n + 1;
      k1(n) := :old."ID";
      k2(n) := to_char(:old."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN');
    end if;
    if inserting or updating then
      n := n + 1;
      k1(n) := :new."ID";
      k2(n) := to_char(:new."SEEN" at time zone '+00:00', 'SYYYY-MM-DD"T"HH24:MI:SS.FF6', 'NLS_CALENDAR=GREGORIAN');
    end if;
    if n >= 1000 then write_keys; end if;
  exception when others then failed := true;
  end after each row;
  after statement is
  begin
    if n > 0 then write_keys; end if;
    if failed then leave_mark; end if;
    failed := false;
  end after statement;
end;
/

lock table "APP"."LICENCE" in share mode wait 5;

commit;

merge into "QZ"."QZ_STREAM" t using (select 'scjg.licence' as k from dual) s on (t.resource_code = s.k)
when matched then update set t.snapshot = 'needed'
when not matched then insert (t.resource_code, t.snapshot) values (s.k, 'needed');

commit;
