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
select object_id, modify_date from sys.triggers where parent_id = convert(int, @id)

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
-- {"p1":"route-1","p2":"live"}
select position, op, kept from qianzhi.quarantine where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2) and kept is not null order by position, key_hash

-- next batch
create table #qz_stage_1 (c1 nvarchar(4000) collate Latin1_General_100_BIN2 null, c2 nvarchar(4000) collate Latin1_General_100_BIN2 null, c3 nvarchar(4000) collate Latin1_General_100_BIN2 null, c4 nvarchar(4000) collate Latin1_General_100_BIN2 null, c5 nvarchar(4000) collate Latin1_General_100_BIN2 null)

-- next batch
truncate table #qz_stage_1

-- next batch
create table #qz_stage_2 (c1 nvarchar(4000) collate Latin1_General_100_BIN2 null, c2 nvarchar(4000) collate Latin1_General_100_BIN2 null, c3 nvarchar(4000) collate Latin1_General_100_BIN2 null)

-- next batch
truncate table #qz_stage_2

-- next batch
begin transaction

-- next batch
save transaction qz_rows

-- next batch
-- {"source":"scjg","position":"4294967297","s1":"b ","s2":"1","s3":"0"}
delete t from [dbo].[licence] t inner join (values (@s1, @s2, @s3)) s(c1, c2, c3) on t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.qz_spaces = s.c2 collate Latin1_General_100_BIN2 where t.qz_source = @source;
select @@rowcount

-- next batch
save transaction qz_rows

-- next batch
-- {"source":"scjg","position":"4294967297","s1":"a","s2":"甲","s3":"1.50","s4":"","s5":"0"}
update t set [name] = s.c2, [amount] = convert(decimal(12,2), s.c3), [qz_source] = @source, [qz_position] = convert(bigint, @position), [qz_received_at] = sysutcdatetime()
from [dbo].[licence] t inner join (values (@s1, @s2, @s3, @s4, @s5)) s(c1, c2, c3, c4, c5) on t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.qz_spaces = s.c4 collate Latin1_General_100_BIN2
where t.qz_source = @source;
select @@rowcount

-- next batch
-- {"source":"scjg","position":"4294967297","s1":"a","s2":"甲","s3":"1.50","s4":"","s5":"0"}
insert into [dbo].[licence] ([id], [name], [amount], [qz_source], [qz_position], [qz_received_at], [qz_spaces])
select s.c1, s.c2, convert(decimal(12,2), s.c3), @source, convert(bigint, @position), sysutcdatetime(), s.c4 from (values (@s1, @s2, @s3, @s4, @s5)) s(c1, c2, c3, c4, c5)
where not exists (select 1 from [dbo].[licence] t where t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.qz_spaces = s.c4 collate Latin1_General_100_BIN2);
select @@rowcount

-- next batch
truncate table #qz_stage_2

-- next batch
save transaction qz_rows

-- next batch
-- {"source":"scjg","position":"4294967298","s1":"c","s2":"甲","s3":"1.50","s4":"","s5":"0"}
update t set [name] = s.c2, [amount] = convert(decimal(12,2), s.c3), [qz_source] = @source, [qz_position] = convert(bigint, @position), [qz_received_at] = sysutcdatetime()
from [dbo].[licence] t inner join (values (@s1, @s2, @s3, @s4, @s5)) s(c1, c2, c3, c4, c5) on t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.qz_spaces = s.c4 collate Latin1_General_100_BIN2
where t.qz_source = @source;
select @@rowcount

-- next batch
-- {"source":"scjg","position":"4294967298","s1":"c","s2":"甲","s3":"1.50","s4":"","s5":"0"}
insert into [dbo].[licence] ([id], [name], [amount], [qz_source], [qz_position], [qz_received_at], [qz_spaces])
select s.c1, s.c2, convert(decimal(12,2), s.c3), @source, convert(bigint, @position), sysutcdatetime(), s.c4 from (values (@s1, @s2, @s3, @s4, @s5)) s(c1, c2, c3, c4, c5)
where not exists (select 1 from [dbo].[licence] t where t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.qz_spaces = s.c4 collate Latin1_General_100_BIN2);
select @@rowcount

-- next batch
select xact_state()

-- next batch
rollback transaction qz_rows

-- next batch
save transaction qz_rows

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
-- {"s1":"c"}
select t.[id], t.[qz_source]
from (select distinct s.c1 collate Latin1_General_100_BIN2 as k1 from (values (@s1)) s(c1)) k inner loop join [dbo].[licence] t on t.[id] = k.k1

-- next batch
-- {"s1":"c","s2":"0"}
select s.c2, case when t.[id] is null then 0 else 1 end, t.[id], t.[qz_source]
from (values (@s1, @s2)) s(c1, c2) left loop join [dbo].[licence] t on t.[id] = s.c1 collate Latin1_General_100_BIN2

-- next batch
select xact_state()

-- next batch
rollback transaction qz_rows

-- next batch
save transaction qz_rows

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
-- {"s1":"c","only1":"scjg"}
select t.[id], t.[name], convert(nvarchar(41), t.[amount])
from (select distinct s.c1 collate Latin1_General_100_BIN2 as k1 from (values (@s1)) s(c1)) k inner loop join [dbo].[licence] t on t.[id] = k.k1 where t.[qz_source] = @only1

-- next batch
-- {"s1":"c","s2":"0","only1":"scjg"}
select s.c2, case when t.[id] is null then 0 else 1 end, t.[id], t.[name], convert(nvarchar(41), t.[amount])
from (values (@s1, @s2)) s(c1, c2) left loop join [dbo].[licence] t on t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.[qz_source] = @only1

-- next batch
select xact_state()

-- next batch
rollback transaction qz_rows

-- next batch
save transaction qz_rows

-- next batch
truncate table #qz_stage_2

-- next batch
-- {"source":"scjg","position":"4294967298","s1":"c","s2":"甲","s3":"1.50","s4":"","s5":"0"}
update t set [name] = s.c2, [amount] = convert(decimal(12,2), s.c3), [qz_source] = @source, [qz_position] = convert(bigint, @position), [qz_received_at] = sysutcdatetime()
from [dbo].[licence] t inner join (values (@s1, @s2, @s3, @s4, @s5)) s(c1, c2, c3, c4, c5) on t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.qz_spaces = s.c4 collate Latin1_General_100_BIN2
where t.qz_source = @source;
select @@rowcount

-- next batch
-- {"source":"scjg","position":"4294967298","s1":"c","s2":"甲","s3":"1.50","s4":"","s5":"0"}
insert into [dbo].[licence] ([id], [name], [amount], [qz_source], [qz_position], [qz_received_at], [qz_spaces])
select s.c1, s.c2, convert(decimal(12,2), s.c3), @source, convert(bigint, @position), sysutcdatetime(), s.c4 from (values (@s1, @s2, @s3, @s4, @s5)) s(c1, c2, c3, c4, c5)
where not exists (select 1 from [dbo].[licence] t where t.[id] = s.c1 collate Latin1_General_100_BIN2 and t.qz_spaces = s.c4 collate Latin1_General_100_BIN2);
select @@rowcount

-- next batch
select xact_state()

-- next batch
rollback transaction qz_rows

-- next batch
-- {"p1":"route-1","p2":"live","p3":"0eb5b8d6f81bc677da8a08567cc4fa9a06a57e9ec8da85ed73a7f62727996002","p4":"28cd6e237c8bb004f3f41147cf6b5f0be27deaa856af880ad774f73b9ef26618"}
delete from qianzhi.quarantine where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2) and key_hash in (convert(varchar(128), @p3), convert(varchar(128), @p4));
select @@rowcount

-- next batch
-- {"p1":"QZ-ROW-REFUSED","p2":null,"p3":"refused here","p4":"route-1","p5":"live","p6":"fd2079a3096d5abb9bdf54cc5c80262e7b58bac10d524846455474beff760be9"}
update qianzhi.quarantine set code = convert(varchar(128), @p1), item = @p2, reason = convert(varchar(128), @p3)
where route = convert(varchar(128), @p4) and part = convert(varchar(128), @p5) and key_hash = convert(varchar(128), @p6);
select @@rowcount

-- next batch
-- {"p1":"route-1","p2":"live"}
select count(*) from qianzhi.quarantine where route = convert(varchar(128), @p1) and part = convert(varchar(128), @p2)

-- next batch
commit transaction
