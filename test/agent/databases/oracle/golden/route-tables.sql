begin
  execute immediate 'create table "QZ"."QZ_ROUTE_POSITION" (
  route varchar2(128 char) not null, part varchar2(8) not null, epoch number(19), seq number(19), hash varchar2(64),
  began_epoch number(19), began_seq number(19), complete number(1) default 0 not null, swapping number(1) default 0 not null,
  schema_version number(19) not null, written_at timestamp(6) not null, table_name varchar2(200 char), source_code varchar2(64 char),
  resource_code varchar2(64 char), removal varchar2(8), removed number(19) default 0 not null,
  items clob not null, key_items clob, former clob, mapping clob, primary key (route, part)
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/

begin
  execute immediate 'create table "QZ"."QZ_QUARANTINE" (
  route varchar2(128 char) not null, part varchar2(8) not null, key_hash varchar2(64) not null, code varchar2(40) not null,
  reason varchar2(1000 char), position number(19) not null, written_at timestamp(6) not null, key_text clob not null,
  kept clob, primary key (route, part, key_hash)
)';
exception when others then
  if sqlcode <> -955 then raise; end if;
end;
/
