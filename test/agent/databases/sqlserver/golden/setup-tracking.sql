if schema_id(N'qianzhi') is null
begin
  begin try
    exec(N'create schema qianzhi authorization dbo')
  end try
  begin catch
    exec(N'create schema qianzhi')
  end catch
end

-- next batch
if object_id(N'qianzhi.stream', N'U') is null
create table qianzhi.stream (
  resource nvarchar(64) collate Latin1_General_100_BIN2 not null primary key,
  epoch bigint null, seq bigint null, hash varchar(64) null,
  snapshot varchar(10) null, began_epoch bigint null, began_seq bigint null, after_key nvarchar(max) null,
  coverage varchar(64) not null default '',
  key_columns nvarchar(max) null,
  tracked bigint null, tracked_from bigint null, tracking_made bit not null default 0
)

-- next batch
if object_id(N'qianzhi.source_quarantine', N'U') is null
create table qianzhi.source_quarantine (
  resource nvarchar(64) collate Latin1_General_100_BIN2 not null, key_hash varchar(64) collate Latin1_General_100_BIN2 not null,
  key_text nvarchar(max) not null, code varchar(40) not null, item nvarchar(64) null, reason nvarchar(1000) null,
  at datetime2(3) not null default sysutcdatetime(),
  primary key (resource, key_hash)
)

-- next batch
if exists (select 1 from sys.triggers where name = N'qz_scjg_licence_e9e61fdf_i' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_scjg_licence_e9e61fdf_i]

-- next batch
if exists (select 1 from sys.triggers where name = N'qz_scjg_licence_e9e61fdf_u' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_scjg_licence_e9e61fdf_u]

-- next batch
if exists (select 1 from sys.triggers where name = N'qz_scjg_licence_e9e61fdf_d' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_scjg_licence_e9e61fdf_d]

-- next batch
if object_id(N'qianzhi.[q_scjg_licence_e9e61fdf]', N'U') is not null drop table qianzhi.[q_scjg_licence_e9e61fdf]

-- next batch
create table qianzhi.[q_scjg_licence_e9e61fdf] (
  id uniqueidentifier not null default newid() primary key nonclustered,
  at datetime2(3) not null default sysutcdatetime(), marked bit not null default 0,
  k1 nvarchar(4000) collate Latin1_General_100_BIN2 null,
  k2 nvarchar(4000) collate Latin1_General_100_BIN2 null
)

-- next batch
create clustered index qz_order on qianzhi.[q_scjg_licence_e9e61fdf] (marked desc, at)

-- next batch
begin try
  exec(N'alter table qianzhi.[q_scjg_licence_e9e61fdf] set (lock_escalation = disable)')
end try
begin catch
end catch

-- next batch
if not exists (select 1 from qianzhi.stream where resource = N'scjg.licence')
insert into qianzhi.stream (resource, snapshot) values (N'scjg.licence', 'needed');
update qianzhi.stream set snapshot = 'needed', key_columns = N'["region","code"]', tracked = null, tracked_from = null where resource = N'scjg.licence'

-- next batch
if not exists (select 1 from sys.change_tracking_databases where database_id = db_id())
alter database current set change_tracking = on (change_retention = 7 days, auto_cleanup = on)

-- next batch
if exists (select 1 from sys.databases where database_id = db_id() and snapshot_isolation_state = 0)
alter database current set allow_snapshot_isolation on

-- next batch
if not exists (select 1 from sys.change_tracking_tables where object_id = object_id(N'[dbo].[licence]'))
begin
alter table [dbo].[licence] enable change_tracking with (track_columns_updated = off)
update qianzhi.stream set tracking_made = 1 where resource = N'scjg.licence'
end

-- next batch
update qianzhi.stream set tracked = change_tracking_current_version(),
  tracked_from = (select begin_version from sys.change_tracking_tables where object_id = object_id(N'[dbo].[licence]')) where resource = N'scjg.licence'

-- next batch
update qianzhi.stream set snapshot = 'needed', began_epoch = null, began_seq = null, after_key = null, coverage = '' where resource = N'scjg.licence'

-- next batch
grant select on [dbo].[licence] to [runner]

-- next batch
begin try
  exec(N'grant view definition on [dbo].[licence] to [runner]')
end try
begin catch
end catch

-- next batch
grant view change tracking on [dbo].[licence] to [runner]

-- next batch
grant select, insert, delete on qianzhi.[q_scjg_licence_e9e61fdf] to [runner]

-- next batch
begin try
  exec(N'grant alter on qianzhi.[q_scjg_licence_e9e61fdf] to [runner]')
end try
begin catch
end catch

-- next batch
grant select, insert, update on qianzhi.stream to [runner]

-- next batch
grant select, insert, update, delete on qianzhi.source_quarantine to [runner]
