-- {"name":"own","schema":"dbo","fallback":"dbo"}
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
-- {"id":"77"}
select object_id, modify_date from sys.triggers where parent_id = convert(int, @id)

-- next batch
-- {"name":"own","schema":"dbo","fallback":"dbo"}
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
-- {"name":"own","schema":"dbo","fallback":"dbo"}
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
-- {"id":"77"}
select distinct c.name from sys.indexes i join sys.index_columns k on k.object_id = i.object_id and k.index_id = i.index_id
  join sys.columns c on c.object_id = k.object_id and c.column_id = k.column_id
where i.object_id = convert(int, @id) and i.is_unique = 1 and i.is_disabled = 0 and k.key_ordinal > 0
union all select null from sys.triggers where parent_id = convert(int, @id) and is_disabled = 0

-- next batch
create table #qz_stage_1 (c1 nvarchar(4000) collate Latin1_General_100_BIN2 null, c2 nvarchar(4000) collate Latin1_General_100_BIN2 null, c3 nvarchar(4000) collate Latin1_General_100_BIN2 null, c4 nvarchar(4000) collate Latin1_General_100_BIN2 null, c5 nvarchar(4000) collate Latin1_General_100_BIN2 null)

-- next batch
truncate table #qz_stage_1

-- next batch
-- insert bulk #qz_stage_1 (c1, c2, c3, c4, c5): 100 rows

-- next batch
create table #qz_stage_2 (c1 nvarchar(4000) collate Latin1_General_100_BIN2 null, c2 nvarchar(4000) collate Latin1_General_100_BIN2 null, c3 nvarchar(4000) collate Latin1_General_100_BIN2 null)

-- next batch
truncate table #qz_stage_2

-- next batch
begin transaction

-- next batch
-- {"p1":"1","p2":"1","p3":"253d950f11ebdbeb4c2d54c57803deb69869b832a2e03010620d462a85d15290","p4":"route-1","p5":"live"}
update qianzhi.route_position set epoch = convert(bigint, @p1), seq = convert(bigint, @p2), hash = convert(varchar(128), @p3), at = sysutcdatetime() where route = convert(varchar(128), @p4) and part = convert(varchar(128), @p5) and epoch is null and seq is null and hash is null;
select @@rowcount

-- next batch
save transaction qz_rows

-- next batch
-- {"source":"scjg","position":"4294967297"}
update t set [name] = s.c2, [amount] = convert(decimal(12,2), s.c3), [qz_source] = @source, [qz_position] = convert(bigint, @position), [qz_received_at] = sysutcdatetime()
from [dbo].[licence] t inner join #qz_stage_1 s on t.[id] = s.c1 collate Chinese_PRC_CI_AS and convert(nvarchar(4000), t.[id]) collate Latin1_General_100_BIN2 = s.c1 collate Latin1_General_100_BIN2 and datalength(convert(nvarchar(4000), t.[id])) = datalength(s.c1)
where t.qz_source = @source;
select @@rowcount

-- next batch
-- {"source":"scjg","position":"4294967297"}
insert into [dbo].[licence] ([id], [name], [amount], [qz_source], [qz_position], [qz_received_at])
select s.c1, s.c2, convert(decimal(12,2), s.c3), @source, convert(bigint, @position), sysutcdatetime() from #qz_stage_1 s
where not exists (select 1 from [dbo].[licence] t where t.[id] = s.c1 collate Chinese_PRC_CI_AS and convert(nvarchar(4000), t.[id]) collate Latin1_General_100_BIN2 = s.c1 collate Latin1_General_100_BIN2 and datalength(convert(nvarchar(4000), t.[id])) = datalength(s.c1));
select @@rowcount

-- next batch
commit transaction
