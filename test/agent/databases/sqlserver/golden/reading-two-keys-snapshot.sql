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
-- {"limit":"500","after1":"a","after2":"7"}
set transaction isolation level snapshot; select top (convert(int, @limit)) convert(nvarchar(20), t.[region]), t.[name], t.[code]
from [dbo].[licence] t where t.[code] >= @after1 collate Chinese_PRC_CI_AS and ((t.[code] > @after1 collate Chinese_PRC_CI_AS) or (t.[code] = @after1 collate Chinese_PRC_CI_AS and t.[region] > try_cast(@after2 as bigint))) order by t.[code], t.[region]

-- next batch
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
-- {"s1":"7","s2":"a"}
set transaction isolation level snapshot; select convert(nvarchar(20), t.[region]), t.[name], t.[code]
from (select distinct try_cast(s.c1 as bigint) as k1, s.c2 collate Chinese_PRC_CI_AS as k2 from (values (@s1, @s2)) s(c1, c2)) k inner loop join [dbo].[licence] t on t.[region] = k.k1 and t.[code] = k.k2

-- next batch
-- {"s1":"7","s2":"a","s3":"0"}
set transaction isolation level snapshot; select s.c3, case when t.[region] is null then 0 else 1 end, convert(nvarchar(20), t.[region]), t.[name], t.[code]
from (values (@s1, @s2, @s3)) s(c1, c2, c3) left loop join [dbo].[licence] t on t.[region] = try_cast(s.c1 as bigint) and t.[code] = s.c2 collate Chinese_PRC_CI_AS
