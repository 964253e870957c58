begin transaction

-- next batch
if object_id(N'qianzhi.shadow_route_1_84fa41f7', N'U') is not null drop table qianzhi.shadow_route_1_84fa41f7

-- next batch
if object_id(N'[qianzhi].[shadow_route_1_84fa41f7]', N'U') is null
create table [qianzhi].[shadow_route_1_84fa41f7] (
  [id] nvarchar(40) collate Latin1_General_100_BIN2 not null,
  [name] nvarchar(200) null,
  [amount] decimal(12,2) null,
  [qz_source] nvarchar(64) collate Latin1_General_100_BIN2 null,
  [qz_position] bigint null,
  [qz_received_at] datetime2(6) null,
  [qz_spaces] nvarchar(30) collate Latin1_General_100_BIN2 not null default N'',
  primary key ([id], [qz_spaces])
)

-- next batch
-- {"name":"shadow_route_1_84fa41f7","schema":"qianzhi","fallback":"qianzhi"}
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
-- {"name":"shadow_route_1_84fa41f7","schema":"qianzhi","fallback":"qianzhi"}
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
commit transaction

-- next batch
begin transaction

-- next batch
-- {"p1":"route-1","p2":"shadow"}
delete from qianzhi.route_position where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2);
select @@rowcount

-- next batch
-- {"p1":"route-1","p2":"shadow"}
delete from qianzhi.quarantine where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2);
select @@rowcount

-- next batch
-- {"p1":"route-1","p2":"shadow","p3":"1","p4":"delivered","p5":"scjg","p6":"scjg.licence","p7":"{\"id\":\"id\",\"name\":\"name\",\"amount\":\"amount\"}","p8":"[\"id\"]","p9":"[]","p10":""}
insert into qianzhi.route_position (route, part, schema_version, table_name, source, resource, at, items, key_items, former, mapping)
values (convert(varchar(128), @p1), convert(varchar(128), @p2), convert(bigint, @p3), convert(varchar(128), @p4), convert(varchar(128), @p5), convert(varchar(128), @p6), sysutcdatetime(),
  convert(varchar(128), @p7), convert(varchar(128), @p8), convert(varchar(128), @p9), convert(varchar(128), @p10));
select @@rowcount

-- next batch
commit transaction

-- next batch
-- {"p1":"route-1","p2":"live"}
select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from qianzhi.quarantine q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from qianzhi.route_position p where p.route = convert(varchar(128), @p1) and p.part = convert(varchar(128), @p2)

-- next batch
-- {"p1":"route-1","p2":"shadow"}
select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from qianzhi.quarantine q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from qianzhi.route_position p where p.route = convert(varchar(128), @p1) and p.part = convert(varchar(128), @p2)

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
begin transaction

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

-- next batch
save transaction qz_rows

-- next batch
-- {"p1":"route-1","p2":"shadow"}
select key_text from qianzhi.quarantine where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2)

-- next batch
-- {"s1":"q ","s2":"1","s3":"0","source":"scjg","position":"4294967297"}
delete t from [dbo].[licence] t where t.qz_source = @source and not exists (select 1 from qianzhi.shadow_route_1_84fa41f7 s where t.[id] = s.[id] collate Latin1_General_100_BIN2 and t.qz_spaces = s.qz_spaces collate Latin1_General_100_BIN2) and not exists (select 1 from (values (@s1, @s2, @s3)) s(c1, c2, c3) where t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.qz_spaces = s.c2 collate Latin1_General_100_BIN2)

-- next batch
-- {}
update t set [name] = s.[name], [amount] = s.[amount], [qz_source] = s.[qz_source], [qz_position] = s.[qz_position], [qz_received_at] = s.[qz_received_at]
from [dbo].[licence] t inner join qianzhi.shadow_route_1_84fa41f7 s on t.[id] = s.[id] collate Latin1_General_100_BIN2 and t.qz_spaces = s.qz_spaces collate Latin1_General_100_BIN2
where t.qz_source = s.qz_source collate Latin1_General_100_BIN2;
select @@rowcount

-- next batch
-- {}
insert into [dbo].[licence] ([id], [name], [amount], [qz_source], [qz_position], [qz_received_at], [qz_spaces])
select s.[id], s.[name], s.[amount], s.[qz_source], s.[qz_position], s.[qz_received_at], s.[qz_spaces] from qianzhi.shadow_route_1_84fa41f7 s
where not exists (select 1 from [dbo].[licence] t where t.[id] = s.[id] collate Latin1_General_100_BIN2 and t.qz_spaces = s.qz_spaces collate Latin1_General_100_BIN2);
select @@rowcount

-- next batch
-- {"name":"shadow_route_1_84fa41f7","schema":"qianzhi","fallback":"qianzhi"}
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
-- {}
select count_big(*) from [dbo].[licence] t

-- next batch
-- {"p1":"route-1","p2":"live"}
select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from qianzhi.quarantine q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from qianzhi.route_position p where p.route = convert(varchar(128), @p1) and p.part = convert(varchar(128), @p2)

-- next batch
-- {"p1":"route-1","p2":"live"}
delete from qianzhi.route_position where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2);
select @@rowcount

-- next batch
-- {"p1":"route-1","p2":"live"}
delete from qianzhi.quarantine where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2);
select @@rowcount

-- next batch
-- {"p1":"[]","p2":"route-1","p3":"shadow"}
update qianzhi.route_position set part = 'live', former = convert(varchar(128), @p1) where route = convert(varchar(128), @p2) and part = convert(varchar(128), @p3);
select @@rowcount

-- next batch
-- {"p1":"route-1","p2":"shadow"}
update qianzhi.quarantine set part = 'live' where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2);
select @@rowcount

-- next batch
commit transaction

-- next batch
if object_id(N'qianzhi.shadow_route_1_84fa41f7', N'U') is not null drop table qianzhi.shadow_route_1_84fa41f7

-- next batch
-- {"p1":"route-1","p2":"delivered"}
select items from qianzhi.route_position where route <> convert(varchar(128), @p1) and table_name = convert(varchar(128), @p2)

-- next batch
-- {"p1":"route-1","p2":"live"}
select count(*) from qianzhi.quarantine where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2)
