select convert(nvarchar(20), databasepropertyex(db_name(), 'Updateability')), convert(nvarchar(30), sysutcdatetime(), 121),
  convert(nvarchar(10), (select compatibility_level from sys.databases where database_id = db_id()))

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
-- {"id":"77","table":"[dbo].[licence]"}
select c.name from sys.masked_columns c where c.object_id = convert(int, @id) and c.is_masked = 1
  and coalesce(nullif(has_perms_by_name(@table, N'OBJECT', N'UNMASK', c.name, N'COLUMN'), 0), nullif(has_perms_by_name(@table, N'OBJECT', N'UNMASK'), 0),
    nullif(has_perms_by_name(db_name(), N'DATABASE', N'UNMASK'), 0)) is null

-- next batch
-- {"table":"77","name1":"qz_scjg_licence_e9e61fdf_i","name2":"qz_scjg_licence_e9e61fdf_u","name3":"qz_scjg_licence_e9e61fdf_d"}
select t.name, t.object_id, convert(int, t.is_disabled), convert(nvarchar(30), t.create_date, 121), convert(nvarchar(30), t.modify_date, 121)
from sys.triggers t where t.parent_id = convert(int, @table) and t.name in (@name1, @name2, @name3) order by t.name

-- next batch
-- {"queue":"qianzhi.[q_scjg_licence_e9e61fdf]","resource":"scjg.licence"}
select object_id(@queue, N'U'), (select key_columns from qianzhi.stream where resource = @resource)

-- next batch
-- {"id":"77"}
select convert(nvarchar(1), (select value_in_use from sys.configurations where name = N'nested triggers')),
  convert(nvarchar(20), objectproperty(convert(int, @id), 'OwnerId')), convert(nvarchar(20), objectproperty(object_id(N'qianzhi.stream'), 'OwnerId'))

-- next batch
-- {"name":"delivered","schema":"dbo","fallback":"dbo"}
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
