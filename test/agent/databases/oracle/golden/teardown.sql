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

delete from "QZ"."QZ_QUEUE" where queue_name = 'QZ_Q_SCJG_LICENCE_E9E61FDF';

update "QZ"."QZ_STREAM" set snapshot = 'needed', coverage = null where resource_code = 'scjg.licence';

commit;
