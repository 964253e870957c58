create trigger [qz_a_b_c_d_799bd6ce_i] on [dbo].[licence] after insert as
begin
  set nocount on;
  set xact_abort off;
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
