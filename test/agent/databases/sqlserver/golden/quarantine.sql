select object_id(N'qianzhi.source_quarantine', N'U'), object_id(N'qianzhi.quarantine', N'U'), object_id(N'qianzhi.route_position', N'U')

-- next batch
-- {"limit":"10","name":"route-1"}
set transaction isolation level snapshot; select top (convert(int, @limit)) place, resource, route, key_text, code, item, reason, since, kept from (
select 'source' as place, q.resource, convert(nvarchar(128), null) as route, q.key_text, q.code, q.item, q.reason, convert(nvarchar(30), q.at, 121) as since, 0 as kept
from qianzhi.source_quarantine q where q.resource = @name
union all
select 'sink' as place, p.resource, q.route, q.key_text, q.code, q.item, q.reason, convert(nvarchar(30), q.at, 121) as since, case when q.kept is null then 0 else 1 end as kept
from qianzhi.quarantine q inner join qianzhi.route_position p on p.route = q.route and p.part = q.part
where q.part = 'live' and (q.route = @name or p.resource = @name)
) found order by since, key_text

-- next batch
select object_id(N'qianzhi.source_quarantine', N'U'), object_id(N'qianzhi.quarantine', N'U'), object_id(N'qianzhi.route_position', N'U')

-- next batch
-- {"limit":"10"}
select top (convert(int, @limit)) place, resource, route, key_text, code, item, reason, since, kept from (
select 'source' as place, q.resource, convert(nvarchar(128), null) as route, q.key_text, q.code, q.item, q.reason, convert(nvarchar(30), q.at, 121) as since, 0 as kept
from qianzhi.source_quarantine q
) found order by since, key_text
