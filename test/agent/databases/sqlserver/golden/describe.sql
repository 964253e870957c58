-- {"limit":"100","schema":"dbo"}
select top (convert(int, @limit)) case when s.name = @schema then o.name else s.name + N'.' + o.name end as place, rtrim(o.type),
  (select top (1) convert(nvarchar(4000), e.value) from sys.extended_properties e
    where e.class = 1 and e.major_id = o.object_id and e.minor_id = 0 and e.name = N'MS_Description'),
  (select sum(p.rows) from sys.partitions p where p.object_id = o.object_id and p.index_id in (0, 1))
from sys.objects o join sys.schemas s on s.schema_id = o.schema_id
where o.type in ('U', 'V') and o.is_ms_shipped = 0 and s.name not in (N'qianzhi', N'sys', N'INFORMATION_SCHEMA')
  and o.name not like N'qz[_]%' and charindex(N'.', o.name) = 0 and charindex(N'.', s.name) = 0
order by place

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
-- {"id":"77","name":"MS_Description"}
select convert(int, e.minor_id), convert(nvarchar(4000), e.value) from sys.extended_properties e
where e.class = 1 and e.major_id = convert(int, @id) and e.minor_id > 0 and e.name = @name

-- next batch
-- {"id":"77","name":"qz_length"}
select convert(int, e.minor_id), convert(nvarchar(4000), e.value) from sys.extended_properties e
where e.class = 1 and e.major_id = convert(int, @id) and e.minor_id > 0 and e.name = @name

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
-- {"limit":"10"}
select top (convert(int, @limit)) left(convert(nvarchar(max), t.[name]), 64), left(convert(nvarchar(max), t.[名]), 64) from [dbo].[licence] t

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
-- {"wanted0":"abc"}
select top (20) t.[id], t.[name], convert(nvarchar(41), t.[amount]) from [dbo].[licence] t where t.[name] = @wanted0 collate Chinese_PRC_CI_AS and t.[amount] is null
