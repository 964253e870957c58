select object_id(N'qianzhi.source_quarantine', N'U'), object_id(N'qianzhi.route_position', N'U'), object_id(N'qianzhi.quarantine', N'U')

-- next batch
-- {"p1":"route-1"}
set transaction isolation level snapshot; select top (10) q.resource, q.code, q.item, convert(nvarchar(30), q.at, 121) as since, q.reason, q.key_text from qianzhi.source_quarantine q where q.resource = convert(varchar(128), @p1) order by q.at

-- next batch
-- {"p1":"route-1","p2":"route-1"}
set transaction isolation level snapshot; select top (10) p.resource, q.route, case when q.kept is null then 0 else 1 end as is_kept, q.code, q.item, convert(nvarchar(30), q.at, 121) as since, q.reason, q.key_text from qianzhi.quarantine q inner join qianzhi.route_position p on p.route = q.route and p.part = q.part where q.part = 'live' and (q.route = convert(varchar(128), @p1) or p.resource = convert(varchar(128), @p2)) order by q.at

-- next batch
select object_id(N'qianzhi.source_quarantine', N'U'), object_id(N'qianzhi.route_position', N'U'), object_id(N'qianzhi.quarantine', N'U')

-- next batch
-- {}
select top (10) q.resource, q.code, q.item, convert(nvarchar(30), q.at, 121) as since, q.reason, q.key_text from qianzhi.source_quarantine q order by q.at
