begin
  execute immediate 'create table "QZ"."QZ_ROUTE_POSITION" (
  route varchar2(128 char) not null,
  part varchar2(8 char) not null,
  epoch number(19) null,
  seq number(19) null,
  hash varchar2(64 char) null,
  began_epoch number(19) null,
  began_seq number(19) null,
  complete number(1) default 0 not null,
  schema_version number(19) not null,
  written_at timestamp(6) null,
  table_name varchar2(260 char) null,
  source_code varchar2(64 char) null,
  resource_code varchar2(64 char) null,
  removal varchar2(8 char) null,
  removed number(19) default 0 not null,
  items clob not null,
  key_items clob null,
  former clob null,
  mapping clob null,
  primary key (route, part)
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

begin
  execute immediate 'create table "QZ"."QZ_QUARANTINE" (
  route varchar2(128 char) not null,
  part varchar2(8 char) not null,
  key_hash varchar2(64 char) not null,
  code varchar2(40 char) not null,
  item varchar2(64 char) null,
  position number(19) not null,
  op varchar2(1 char) null,
  written_at timestamp(6) not null,
  reason varchar2(1000 char) null,
  key_text clob not null,
  kept clob null,
  primary key (route, part, key_hash)
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/
