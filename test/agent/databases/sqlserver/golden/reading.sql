-- {"name":"licence","schema":"dbo","fallback":"dbo"}
select o.object_id, s.name, o.name, rtrim(o.type) from sys.objects o join sys.schemas s on s.schema_id = o.schema_id
where o.name = @name and o.type in ('U', 'V') and s.name in (@schema, @fallback) order by case when s.name = @schema then 0 else 1 end

-- next batch
-- {"id":"77"}
select c.name, coalesce(b.name, u.name), convert(int, c.max_length), convert(int, c.precision), convert(int, c.scale), convert(int, c.is_nullable),
  c.collation_name, convert(int, c.is_computed), convert(int, c.is_identity), c.column_id, case when c.default_object_id <> 0 then 1 else 0 end,
  convert(int, coalesce(columnproperty(c.object_id, c.name, 'GeneratedAlwaysType'), 0))
from sys.columns c left join sys.types b on b.user_type_id = c.system_type_id left join sys.types u on u.user_type_id = c.user_type_id
where c.object_id = convert(int, @id) order by c.column_id

-- next batch
-- {"id":"77"}
select i.name, convert(int, i.is_primary_key), convert(int, i.is_unique_constraint), c.name, convert(int, c.is_nullable)
from sys.indexes i join sys.index_columns k on k.object_id = i.object_id and k.index_id = i.index_id
  join sys.columns c on c.object_id = k.object_id and c.column_id = k.column_id
where i.object_id = convert(int, @id) and i.is_unique = 1 and i.is_disabled = 0 and i.has_filter = 0 and k.key_ordinal > 0
order by i.is_primary_key desc, i.index_id, k.key_ordinal

-- next batch
-- {"id":"77","table":"[dbo].[licence]"}
select c.name from sys.masked_columns c where c.object_id = convert(int, @id) and c.is_masked = 1
  and coalesce(nullif(has_perms_by_name(@table, N'OBJECT', N'UNMASK', c.name, N'COLUMN'), 0), nullif(has_perms_by_name(@table, N'OBJECT', N'UNMASK'), 0),
    nullif(has_perms_by_name(db_name(), N'DATABASE', N'UNMASK'), 0)) is null

-- next batch
-- {"s1":"a","s2":"b ","only1":"7"}
select t.[id], convert(nvarchar(max), case when datalength(t.[long]) > 2097152 then null else t.[long] end), convert(nvarchar(20), t.[number]), convert(nvarchar(41), t.[exact]), convert(nvarchar(1), t.[flag]), convert(nvarchar(10), t.[day], 23), convert(nvarchar(27), t.[moment], 121), convert(nvarchar(27), convert(datetime2(6), switchoffset(t.[instant], '+00:00')), 121), convert(nvarchar(16), t.[clock], 121), case when datalength(t.[bytes]) > 1048576 then null else convert(varbinary(max), t.[bytes]) end, convert(nvarchar(max), case when datalength(t.[doc]) > 2097152 then null else t.[doc] end), case when datalength(t.[long]) > 2097152 then 2 when datalength(t.[bytes]) > 1048576 then 10 when datalength(t.[doc]) > 2097152 then 11 else 0 end
from (select distinct s.c1 collate Chinese_PRC_CI_AS as k1 from (values (@s1), (@s2)) s(c1)) k inner loop join [dbo].[licence] t on t.[id] = k.k1 where t.[number] = @only1 and t.[long] is null

-- next batch
-- {"s1":"a","s2":"0","s3":"b ","s4":"1","only1":"7"}
select s.c2, case when t.[id] is null then 0 else 1 end, t.[id], convert(nvarchar(max), case when datalength(t.[long]) > 2097152 then null else t.[long] end), convert(nvarchar(20), t.[number]), convert(nvarchar(41), t.[exact]), convert(nvarchar(1), t.[flag]), convert(nvarchar(10), t.[day], 23), convert(nvarchar(27), t.[moment], 121), convert(nvarchar(27), convert(datetime2(6), switchoffset(t.[instant], '+00:00')), 121), convert(nvarchar(16), t.[clock], 121), case when datalength(t.[bytes]) > 1048576 then null else convert(varbinary(max), t.[bytes]) end, convert(nvarchar(max), case when datalength(t.[doc]) > 2097152 then null else t.[doc] end), case when datalength(t.[long]) > 2097152 then 2 when datalength(t.[bytes]) > 1048576 then 10 when datalength(t.[doc]) > 2097152 then 11 else 0 end
from (values (@s1, @s2), (@s3, @s4)) s(c1, c2) left loop join [dbo].[licence] t on t.[id] = s.c1 collate Chinese_PRC_CI_AS and t.[number] = @only1 and t.[long] is null

-- next batch
create table #qz_stage_1 (c1 nvarchar(4000) collate Latin1_General_100_BIN2 null)

-- next batch
truncate table #qz_stage_1

-- next batch
-- insert bulk #qz_stage_1 (c1): 100 rows

-- next batch
-- {"only1":"7"}
select t.[id], convert(nvarchar(max), case when datalength(t.[long]) > 2097152 then null else t.[long] end), convert(nvarchar(20), t.[number]), convert(nvarchar(41), t.[exact]), convert(nvarchar(1), t.[flag]), convert(nvarchar(10), t.[day], 23), convert(nvarchar(27), t.[moment], 121), convert(nvarchar(27), convert(datetime2(6), switchoffset(t.[instant], '+00:00')), 121), convert(nvarchar(16), t.[clock], 121), case when datalength(t.[bytes]) > 1048576 then null else convert(varbinary(max), t.[bytes]) end, convert(nvarchar(max), case when datalength(t.[doc]) > 2097152 then null else t.[doc] end), case when datalength(t.[long]) > 2097152 then 2 when datalength(t.[bytes]) > 1048576 then 10 when datalength(t.[doc]) > 2097152 then 11 else 0 end
from (select distinct s.c1 collate Chinese_PRC_CI_AS as k1 from #qz_stage_1 s) k inner loop join [dbo].[licence] t on t.[id] = k.k1 where t.[number] = @only1 and t.[long] is null

-- next batch
create table #qz_stage_2 (c1 nvarchar(4000) collate Latin1_General_100_BIN2 null, c2 nvarchar(4000) collate Latin1_General_100_BIN2 null)

-- next batch
truncate table #qz_stage_2

-- next batch
-- insert bulk #qz_stage_2 (c1, c2): 100 rows

-- next batch
-- {"only1":"7"}
select s.c2, case when t.[id] is null then 0 else 1 end, t.[id], convert(nvarchar(max), case when datalength(t.[long]) > 2097152 then null else t.[long] end), convert(nvarchar(20), t.[number]), convert(nvarchar(41), t.[exact]), convert(nvarchar(1), t.[flag]), convert(nvarchar(10), t.[day], 23), convert(nvarchar(27), t.[moment], 121), convert(nvarchar(27), convert(datetime2(6), switchoffset(t.[instant], '+00:00')), 121), convert(nvarchar(16), t.[clock], 121), case when datalength(t.[bytes]) > 1048576 then null else convert(varbinary(max), t.[bytes]) end, convert(nvarchar(max), case when datalength(t.[doc]) > 2097152 then null else t.[doc] end), case when datalength(t.[long]) > 2097152 then 2 when datalength(t.[bytes]) > 1048576 then 10 when datalength(t.[doc]) > 2097152 then 11 else 0 end
from #qz_stage_2 s left loop join [dbo].[licence] t on t.[id] = s.c1 collate Chinese_PRC_CI_AS and t.[number] = @only1 and t.[long] is null

-- next batch
-- {"limit":"500","only1":"7"}
select top (convert(int, @limit)) t.[id], convert(nvarchar(max), case when datalength(t.[long]) > 2097152 then null else t.[long] end), convert(nvarchar(20), t.[number]), convert(nvarchar(41), t.[exact]), convert(nvarchar(1), t.[flag]), convert(nvarchar(10), t.[day], 23), convert(nvarchar(27), t.[moment], 121), convert(nvarchar(27), convert(datetime2(6), switchoffset(t.[instant], '+00:00')), 121), convert(nvarchar(16), t.[clock], 121), case when datalength(t.[bytes]) > 1048576 then null else convert(varbinary(max), t.[bytes]) end, convert(nvarchar(max), case when datalength(t.[doc]) > 2097152 then null else t.[doc] end), case when datalength(t.[long]) > 2097152 then 2 when datalength(t.[bytes]) > 1048576 then 10 when datalength(t.[doc]) > 2097152 then 11 else 0 end
from [dbo].[licence] t where t.[number] = @only1 and t.[long] is null order by t.[id]

-- next batch
-- {"limit":"500","after1":"a","only1":"7"}
select top (convert(int, @limit)) t.[id], convert(nvarchar(max), case when datalength(t.[long]) > 2097152 then null else t.[long] end), convert(nvarchar(20), t.[number]), convert(nvarchar(41), t.[exact]), convert(nvarchar(1), t.[flag]), convert(nvarchar(10), t.[day], 23), convert(nvarchar(27), t.[moment], 121), convert(nvarchar(27), convert(datetime2(6), switchoffset(t.[instant], '+00:00')), 121), convert(nvarchar(16), t.[clock], 121), case when datalength(t.[bytes]) > 1048576 then null else convert(varbinary(max), t.[bytes]) end, convert(nvarchar(max), case when datalength(t.[doc]) > 2097152 then null else t.[doc] end), case when datalength(t.[long]) > 2097152 then 2 when datalength(t.[bytes]) > 1048576 then 10 when datalength(t.[doc]) > 2097152 then 11 else 0 end
from [dbo].[licence] t where t.[id] > @after1 collate Chinese_PRC_CI_AS and t.[number] = @only1 and t.[long] is null order by t.[id]

-- next batch
-- {"limit":"100","only1":"7"}
select top (convert(int, @limit)) convert(nvarchar(27), t.[moment], 121), t.[id]
from [dbo].[licence] t where t.[moment] is not null and t.[number] = @only1 and t.[long] is null order by t.[moment], t.[id]

-- next batch
-- {"limit":"100","since":"2026-11-22T08:30:00","mark":"2026-11-22T08:30:00.5","key1":"a","only1":"7"}
select top (convert(int, @limit)) convert(nvarchar(27), t.[moment], 121), t.[id]
from [dbo].[licence] t where t.[moment] is not null and t.[moment] >= try_cast(@since as datetime2(6)) and t.[moment] >= try_cast(@mark as datetime2(6)) and ((t.[moment] > try_cast(@mark as datetime2(6))) or (t.[moment] = try_cast(@mark as datetime2(6)) and t.[id] > @key1 collate Chinese_PRC_CI_AS)) and t.[number] = @only1 and t.[long] is null order by t.[moment], t.[id]

-- next batch
-- {"only1":"7"}
select count_big(*) from [dbo].[licence] t where t.[number] = @only1 and t.[long] is null
