select object_id(N'qianzhi.route_position', N'U'), object_id(N'qianzhi.quarantine', N'U')

-- next batch
select object_id(N'qianzhi.route_position', N'U'), object_id(N'qianzhi.quarantine', N'U')

-- next batch
-- {"p1":"route-1","p2":"live"}
select table_name, source, removal, removed, former from qianzhi.route_position where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2)

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
-- {"p1":"route-1"}
delete from qianzhi.quarantine where route = convert(varchar(128), @p1);
select @@rowcount

-- next batch
-- {"p1":"route-1","p2":"live"}
update qianzhi.route_position set removal = 'begun', removed = 0, epoch = null, seq = null, hash = null, began_epoch = null, began_seq = null,
  complete = 0 where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2);
select @@rowcount

-- next batch
commit transaction

-- next batch
if object_id(N'qianzhi.shadow_route_1_84fa41f7', N'U') is not null drop table qianzhi.shadow_route_1_84fa41f7

-- next batch
begin transaction

-- next batch
-- {"p1":"route-1","p2":"scjg"}
select distinct table_name from qianzhi.route_position where part = 'live' and route <> convert(varchar(128), @p1) and table_name is not null
and source = convert(varchar(128), @p2) and removal is null

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
-- {"source":"scjg"}
delete top (5000) from [dbo].[licence] where qz_source = @source;
select @@rowcount

-- next batch
-- {"p1":"done","p2":"1","p3":"route-1","p4":"live"}
update qianzhi.route_position set removal = convert(varchar(128), @p1), removed = removed + convert(bigint, @p2) where route = convert(varchar(128), @p3) and part = convert(varchar(128), @p4);
select @@rowcount

-- next batch
commit transaction

-- next batch
-- {"p1":"route-1","p2":"live"}
select table_name, source, removal, removed, former from qianzhi.route_position where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2)

-- next batch
select object_id(N'qianzhi.route_position', N'U'), object_id(N'qianzhi.quarantine', N'U')

-- next batch
select object_id(N'qianzhi.route_position', N'U'), object_id(N'qianzhi.quarantine', N'U')

-- next batch
-- {}
select route, removal from qianzhi.route_position where removal is not null

-- next batch
-- {"p1":"ended","p2":"live"}
delete from qianzhi.route_position where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2);
select @@rowcount
