create trigger [qz_a_b_c_d_799bd6ce] on [dbo].[licence] after insert, update, delete as
begin
  set nocount on;
  set xact_abort off;
  declare @rows int, @full int, @none uniqueidentifier;
  select @rows = (select count(*) from inserted) + (select count(*) from deleted), @full = 0, @none = newid();
  if @rows = 0 return;
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
      select convert(nvarchar(20), t.[region]), t.[code] from inserted t
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
