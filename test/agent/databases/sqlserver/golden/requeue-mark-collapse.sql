begin transaction

-- next batch
-- {"s1":"1","s2":"a","s3":"2","s4":"b'"}
insert into qianzhi.[q_scjg_licence_e9e61fdf] (k1, k2) select s.c1, s.c2 from (values (@s1, @s2), (@s3, @s4)) s(c1, c2)

-- next batch
-- {"resource":"scjg.licence","toEpoch":"1","toSeq":"5","toHash":"bd82a28b1f088b3a186737712fb16fe7323aecb3abc234b38c9534349aaa1757"}
update qianzhi.stream set epoch = convert(bigint, @toEpoch), seq = convert(bigint, @toSeq), hash = convert(varchar(64), @toHash)
where resource = @resource;
select @@rowcount

-- next batch
commit transaction

-- next batch
begin transaction

-- next batch
-- {"resource":"scjg.licence"}
if not exists (select 1 from qianzhi.stream where resource = @resource)
insert into qianzhi.stream (resource) values (@resource);
update qianzhi.stream set snapshot = 'needed' where resource = @resource

-- next batch
-- {"e1":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}
delete from qianzhi.[q_scjg_licence_e9e61fdf] with (rowlock, readpast, readcommittedlock) where id in (select convert(uniqueidentifier, c1) from (values (@e1)) e(c1))

-- next batch
commit transaction

-- next batch
begin transaction

-- next batch
-- {"resource":"scjg.licence","coverage":"abc"}
if not exists (select 1 from qianzhi.stream where resource = @resource)
insert into qianzhi.stream (resource) values (@resource);
update qianzhi.stream set coverage = @coverage where resource = @resource

-- next batch
commit transaction

-- next batch
begin transaction

-- next batch
-- {"resource":"scjg.licence"}
if not exists (select 1 from qianzhi.stream where resource = @resource)
insert into qianzhi.stream (resource) values (@resource);
update qianzhi.stream set snapshot = 'needed' where resource = @resource

-- next batch
commit transaction

-- next batch
set lock_timeout 1000

-- next batch
truncate table qianzhi.[q_scjg_licence_e9e61fdf]

-- next batch
set lock_timeout 30000
