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
-- {"table":"77","resource":"scjg.licence"}
select change_tracking_current_version(), s.tracked, s.tracked_from, c.begin_version, change_tracking_min_valid_version(c.object_id)
from qianzhi.stream s left join sys.change_tracking_tables c on c.object_id = convert(int, @table) where s.resource = @resource

-- next batch
begin transaction -- snapshot

-- next batch
-- {"table":"77","resource":"scjg.licence"}
select change_tracking_current_version(), s.tracked, s.tracked_from, c.begin_version, change_tracking_min_valid_version(c.object_id)
from qianzhi.stream s left join sys.change_tracking_tables c on c.object_id = convert(int, @table) where s.resource = @resource

-- next batch
-- {"tracked":"10"}
declare @version bigint = convert(bigint, @tracked);
select count(*) from (select top (671089) 1 as n from changetable(changes [dbo].[licence], @version) c) q

-- next batch
-- {"tracked":"10"}
declare @version bigint = convert(bigint, @tracked);
insert into qianzhi.[q_scjg_licence_e9e61fdf] (k1, k2)
select convert(nvarchar(20), c.[region]), c.[code] from changetable(changes [dbo].[licence], @version) c

-- next batch
-- {"table":"77","resource":"scjg.licence"}
select change_tracking_current_version(), s.tracked, s.tracked_from, c.begin_version, change_tracking_min_valid_version(c.object_id)
from qianzhi.stream s left join sys.change_tracking_tables c on c.object_id = convert(int, @table) where s.resource = @resource

-- next batch
-- {"version":"12","began":"3","resource":"scjg.licence"}
update qianzhi.stream set tracked = convert(bigint, @version), tracked_from = convert(bigint, @began) where resource = @resource

-- next batch
commit transaction

-- next batch
-- {"limit":"1000"}
set transaction isolation level snapshot; select top (convert(int, @limit)) convert(nvarchar(36), id), convert(int, marked), k1, k2
from qianzhi.[q_scjg_licence_e9e61fdf] order by marked desc, at

-- next batch
-- {"table":"77","resource":"scjg.licence"}
select change_tracking_current_version(), s.tracked, s.tracked_from, c.begin_version, change_tracking_min_valid_version(c.object_id)
from qianzhi.stream s left join sys.change_tracking_tables c on c.object_id = convert(int, @table) where s.resource = @resource

-- next batch
-- {"limit":"1000"}
set transaction isolation level snapshot; select top (convert(int, @limit)) convert(nvarchar(36), id), convert(int, marked), k1, k2
from qianzhi.[q_scjg_licence_e9e61fdf] order by marked desc, at

-- next batch
begin transaction

-- next batch
-- {"p1":"scjg.licence"}
update qianzhi.stream set snapshot = 'needed' where resource = convert(varchar(128), @p1);
select @@rowcount

-- next batch
-- {"p1":"scjg.licence"}
insert into qianzhi.stream (resource) values (convert(varchar(128), @p1));
select @@rowcount

-- next batch
-- {"p1":"scjg.licence"}
update qianzhi.stream set snapshot = 'needed' where resource = convert(varchar(128), @p1);
select @@rowcount

-- next batch
commit transaction

-- next batch
-- {"table":"77","resource":"scjg.licence"}
select change_tracking_current_version(), s.tracked, s.tracked_from, c.begin_version, change_tracking_min_valid_version(c.object_id)
from qianzhi.stream s left join sys.change_tracking_tables c on c.object_id = convert(int, @table) where s.resource = @resource

-- next batch
-- {"version":"12","began":"3","resource":"scjg.licence"}
update qianzhi.stream set tracked = convert(bigint, @version), tracked_from = convert(bigint, @began) where resource = @resource

-- next batch
set lock_timeout 1000

-- next batch
truncate table qianzhi.[q_scjg_licence_e9e61fdf]

-- next batch
set lock_timeout 30000
