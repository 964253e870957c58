begin transaction

-- next batch
-- {"p1":"scjg.licence","p2":"scjg.licence","p3":"1"}
delete from qianzhi.source_quarantine where resource = convert(varchar(128), @p1) and not exists (select 1 from qianzhi.stream where resource = convert(varchar(128), @p2) and began_epoch = convert(bigint, @p3));
select @@rowcount

-- next batch
-- {"p1":"1","p2":"1","p3":"253d950f11ebdbeb4c2d54c57803deb69869b832a2e03010620d462a85d15290","p4":null,"p5":null,"p6":null,"p7":null,"p8":"scjg.licence"}
update qianzhi.stream set epoch = convert(bigint, @p1), seq = convert(bigint, @p2), hash = convert(varchar(128), @p3), snapshot = @p4, began_epoch = @p5, began_seq = @p6,
  after_key = @p7 where resource = convert(varchar(128), @p8) and epoch is null and seq is null and hash is null;
select @@rowcount

-- next batch
-- {"e1":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}
delete from qianzhi.[q_scjg_licence_e9e61fdf] with (rowlock, readpast, readcommittedlock) where id in (select convert(uniqueidentifier, c1) from (values (@e1)) e(c1))

-- next batch
commit transaction

-- next batch
begin transaction

-- next batch
-- {"p1":"scjg.licence"}
delete from qianzhi.source_quarantine where resource = convert(varchar(128), @p1);
select @@rowcount

-- next batch
-- {"p1":"1","p2":"2","p3":"d939926f05444b0f4495fb9629ecbfa80d99a8ec1a20d06800ca5a3d5f4fd276","p4":"running","p5":"1","p6":"2","p7":"[\"1\",\"x\"]","p8":"scjg.licence","p9":"1","p10":"1","p11":"253d950f11ebdbeb4c2d54c57803deb69869b832a2e03010620d462a85d15290"}
update qianzhi.stream set epoch = convert(bigint, @p1), seq = convert(bigint, @p2), hash = convert(varchar(128), @p3), snapshot = convert(varchar(128), @p4), began_epoch = convert(bigint, @p5), began_seq = convert(bigint, @p6),
  after_key = convert(varchar(128), @p7) where resource = convert(varchar(128), @p8) and epoch = convert(bigint, @p9) and seq = convert(bigint, @p10) and hash = convert(varchar(128), @p11);
select @@rowcount

-- next batch
-- {"p1":"scjg.licence","p2":"53f6bb2fcbb6f3811278632af5561fea1e17ecfe694b3de160bed7d083e7a6aa"}
delete from qianzhi.source_quarantine where resource = convert(varchar(128), @p1) and key_hash in (convert(varchar(128), @p2));
select @@rowcount

-- next batch
-- {"p1":"scjg.licence","p2":"0ec8878371262b937781335a8f10e6419e3fe6f58c6d217137d87a744b61e9cd"}
select key_hash from qianzhi.source_quarantine where resource = convert(varchar(128), @p1) and key_hash in (convert(varchar(128), @p2))

-- next batch
-- {"p1":"scjg.licence","p2":"0ec8878371262b937781335a8f10e6419e3fe6f58c6d217137d87a744b61e9cd","p3":"QZ-ROW-VALUE","p4":"name","p5":"zero","p6":"[\"1\",\"x\"]"}
insert into qianzhi.source_quarantine (resource, key_hash, code, item, at, reason, key_text) values (convert(varchar(128), @p1), convert(varchar(128), @p2), convert(varchar(128), @p3), convert(varchar(128), @p4), sysutcdatetime(), convert(varchar(128), @p5), convert(varchar(128), @p6));
select @@rowcount

-- next batch
commit transaction
