begin transaction

-- next batch
-- {"s1":"1","s2":"a","s3":"2","s4":"b'"}
insert into qianzhi.[q_scjg_licence_e9e61fdf] (k1, k2) select s.c1, s.c2 from (values (@s1, @s2), (@s3, @s4)) s(c1, c2)

-- next batch
-- {"p1":"1","p2":"5","p3":"bd82a28b1f088b3a186737712fb16fe7323aecb3abc234b38c9534349aaa1757","p4":"scjg.licence"}
update qianzhi.stream set epoch = convert(bigint, @p1), seq = convert(bigint, @p2), hash = convert(varchar(128), @p3) where resource = convert(varchar(128), @p4);
select @@rowcount

-- next batch
commit transaction

-- next batch
begin transaction

-- next batch
-- {"p1":"scjg.licence"}
update qianzhi.stream set snapshot = 'needed' where resource = convert(varchar(128), @p1);
select @@rowcount

-- next batch
-- {"e1":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}
delete from qianzhi.[q_scjg_licence_e9e61fdf] with (rowlock, readpast, readcommittedlock) where id in (select convert(uniqueidentifier, c1) from (values (@e1)) e(c1))

-- next batch
commit transaction

-- next batch
begin transaction

-- next batch
-- {"p1":"abc","p2":"scjg.licence"}
update qianzhi.stream set coverage = convert(varchar(128), @p1) where resource = convert(varchar(128), @p2);
select @@rowcount

-- next batch
commit transaction

-- next batch
begin transaction

-- next batch
-- {"p1":"scjg.licence"}
update qianzhi.stream set snapshot = 'needed' where resource = convert(varchar(128), @p1);
select @@rowcount

-- next batch
commit transaction

-- next batch
set lock_timeout 1000

-- next batch
truncate table qianzhi.[q_scjg_licence_e9e61fdf]

-- next batch
set lock_timeout 30000
