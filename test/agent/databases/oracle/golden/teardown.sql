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
  execute immediate 'delete from "QZ"."QZ_QUEUE" where queue_name = ''QZ_Q_SCJG_LICENCE_E9E61FDF''';
exception when others then
  if sqlcode <> -942 then raise; end if;
end;
/

begin
  execute immediate 'update "QZ"."QZ_STREAM" set snapshot = ''needed'', coverage = null where resource_code = ''scjg.licence''';
exception when others then
  if sqlcode <> -942 then raise; end if;
end;
/

commit;
