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
if exists (select 1 from sys.triggers where name = N'qz_a_b_c_d_799bd6ce_i' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_a_b_c_d_799bd6ce_i]

-- next batch
if exists (select 1 from sys.triggers where name = N'qz_a_b_c_d_799bd6ce_u' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_a_b_c_d_799bd6ce_u]

-- next batch
if exists (select 1 from sys.triggers where name = N'qz_a_b_c_d_799bd6ce_d' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_a_b_c_d_799bd6ce_d]

-- next batch
if object_id(N'qianzhi.[q_a_b_c_d_799bd6ce]', N'U') is not null drop table qianzhi.[q_a_b_c_d_799bd6ce]

-- next batch
create table qianzhi.[q_a_b_c_d_799bd6ce] (
  id uniqueidentifier not null default newid() primary key nonclustered,
  at datetime2(3) not null default sysutcdatetime(), marked bit not null default 0,
  k1 nvarchar(4000) collate Latin1_General_100_BIN2 null,
  k2 nvarchar(4000) collate Latin1_General_100_BIN2 null
)

-- next batch
create clustered index qz_order on qianzhi.[q_a_b_c_d_799bd6ce] (marked desc, at)

-- next batch
begin try
  exec(N'alter table qianzhi.[q_a_b_c_d_799bd6ce] set (lock_escalation = disable)')
end try
begin catch
end catch

-- next batch
if not exists (select 1 from qianzhi.stream where resource = N'a-b.c_d')
insert into qianzhi.stream (resource, snapshot) values (N'a-b.c_d', 'needed');
update qianzhi.stream set snapshot = 'needed', key_columns = N'["region","code"]', tracked = null, tracked_from = null where resource = N'a-b.c_d'

-- next batch
create trigger [qz_a_b_c_d_799bd6ce_i] on [dbo].[licence] after insert as
begin
  set nocount on;
  set xact_abort off;
  set rowcount 0;
  declare @rows int, @full int, @none uniqueidentifier;
  select @rows = count(*) from inserted;
  if @rows = 0 return;
  select @full = 0, @none = newid();
  begin try
    if exists (select 1 from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock) where marked = 1)
      set @full = 1;
    else if @rows >= 100 or datepart(microsecond, sysutcdatetime()) % 64 = 0
    begin
      if (select count(*) from (select top (671089) id from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock)) q) > 671088
        set @full = 1;
    end;
    if @full = 0
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (k1, k2)
      select convert(nvarchar(20), t.[region]) collate Latin1_General_100_BIN2, t.[code] collate Latin1_General_100_BIN2 from inserted t;
    else if exists (select 1 from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock) where marked = 1 and at < dateadd(hour, -1, sysutcdatetime()))
      delete from qianzhi.[q_a_b_c_d_799bd6ce] where id = @none;
    else
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (marked) values (1);
  end try
  begin catch
    if xact_state() = 1
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (marked) values (1);
  end catch;
end

-- next batch
create trigger [qz_a_b_c_d_799bd6ce_u] on [dbo].[licence] after update as
begin
  set nocount on;
  set xact_abort off;
  set rowcount 0;
  declare @rows int, @full int, @none uniqueidentifier;
  select @rows = count(*) from inserted;
  if @rows = 0 return;
  select @full = 0, @none = newid();
  begin try
    if exists (select 1 from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock) where marked = 1)
      set @full = 1;
    else if @rows >= 100 or datepart(microsecond, sysutcdatetime()) % 64 = 0
    begin
      if (select count(*) from (select top (671089) id from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock)) q) > 671088
        set @full = 1;
    end;
    if @full = 0
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (k1, k2)
      select convert(nvarchar(20), t.[region]) collate Latin1_General_100_BIN2, t.[code] collate Latin1_General_100_BIN2 from inserted t
      union all
      select k1, k2 from (
        select convert(nvarchar(20), t.[region]) collate Latin1_General_100_BIN2 as k1, datalength(convert(nvarchar(20), t.[region])) as n1, t.[code] collate Latin1_General_100_BIN2 as k2, datalength(t.[code]) as n2 from deleted t
        except
        select convert(nvarchar(20), t.[region]) collate Latin1_General_100_BIN2 as k1, datalength(convert(nvarchar(20), t.[region])) as n1, t.[code] collate Latin1_General_100_BIN2 as k2, datalength(t.[code]) as n2 from inserted t
      ) gone;
    else if exists (select 1 from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock) where marked = 1 and at < dateadd(hour, -1, sysutcdatetime()))
      delete from qianzhi.[q_a_b_c_d_799bd6ce] where id = @none;
    else
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (marked) values (1);
  end try
  begin catch
    if xact_state() = 1
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (marked) values (1);
  end catch;
end

-- next batch
create trigger [qz_a_b_c_d_799bd6ce_d] on [dbo].[licence] after delete as
begin
  set nocount on;
  set xact_abort off;
  set rowcount 0;
  declare @rows int, @full int, @none uniqueidentifier;
  select @rows = count(*) from deleted;
  if @rows = 0 return;
  select @full = 0, @none = newid();
  begin try
    if exists (select 1 from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock) where marked = 1)
      set @full = 1;
    else if @rows >= 100 or datepart(microsecond, sysutcdatetime()) % 64 = 0
    begin
      if (select count(*) from (select top (671089) id from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock)) q) > 671088
        set @full = 1;
    end;
    if @full = 0
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (k1, k2)
      select convert(nvarchar(20), t.[region]) collate Latin1_General_100_BIN2, t.[code] collate Latin1_General_100_BIN2 from deleted t;
    else if exists (select 1 from qianzhi.[q_a_b_c_d_799bd6ce] with (nolock) where marked = 1 and at < dateadd(hour, -1, sysutcdatetime()))
      delete from qianzhi.[q_a_b_c_d_799bd6ce] where id = @none;
    else
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (marked) values (1);
  end try
  begin catch
    if xact_state() = 1
      insert into qianzhi.[q_a_b_c_d_799bd6ce] (marked) values (1);
  end catch;
end

-- next batch
update qianzhi.stream set snapshot = 'needed', began_epoch = null, began_seq = null, after_key = null, coverage = '' where resource = N'a-b.c_d'

-- next batch
grant select on [dbo].[licence] to [runner]

-- next batch
begin try
  exec(N'grant view definition on [dbo].[licence] to [runner]')
end try
begin catch
end catch

-- next batch
grant select, insert, delete on qianzhi.[q_a_b_c_d_799bd6ce] to [runner]

-- next batch
begin try
  exec(N'grant alter on qianzhi.[q_a_b_c_d_799bd6ce] to [runner]')
end try
begin catch
end catch

-- next batch
grant select, insert, update on qianzhi.stream to [runner]

-- next batch
grant select, insert, update, delete on qianzhi.source_quarantine to [runner]
