begin transaction

-- next batch
-- {"resource":"scjg.licence","epoch":"1"}
delete from qianzhi.source_quarantine where resource = @resource and not exists (select 1 from qianzhi.stream where resource = @resource and began_epoch = convert(bigint, @epoch))

-- next batch
-- {"resource":"scjg.licence","toEpoch":"1","toSeq":"1","toHash":"253d950f11ebdbeb4c2d54c57803deb69869b832a2e03010620d462a85d15290"}
update qianzhi.stream set epoch = convert(bigint, @toEpoch), seq = convert(bigint, @toSeq), hash = convert(varchar(64), @toHash),
  snapshot = null, began_epoch = null, began_seq = null, after_key = null
where resource = @resource and epoch is null and seq is null and hash is null;
select @@rowcount

-- next batch
-- {"e1":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}
delete from qianzhi.[q_scjg_licence_e9e61fdf] with (rowlock, readpast, readcommittedlock) where id in (select convert(uniqueidentifier, c1) from (values (@e1)) e(c1))

-- next batch
commit transaction

-- next batch
begin transaction

-- next batch
-- {"resource":"scjg.licence","epoch":"1"}
delete from qianzhi.source_quarantine where resource = @resource

-- next batch
-- {"resource":"scjg.licence","toEpoch":"1","toSeq":"2","toHash":"d939926f05444b0f4495fb9629ecbfa80d99a8ec1a20d06800ca5a3d5f4fd276","fromEpoch":"1","fromSeq":"1","fromHash":"253d950f11ebdbeb4c2d54c57803deb69869b832a2e03010620d462a85d15290","beganEpoch":"1","beganSeq":"2","afterKey":"[\"1\",\"x\"]"}
update qianzhi.stream set epoch = convert(bigint, @toEpoch), seq = convert(bigint, @toSeq), hash = convert(varchar(64), @toHash),
  snapshot = 'running', began_epoch = convert(bigint, @beganEpoch), began_seq = convert(bigint, @beganSeq), after_key = @afterKey
where resource = @resource and epoch = convert(bigint, @fromEpoch) and seq = convert(bigint, @fromSeq) and hash = convert(varchar(64), @fromHash);
select @@rowcount

-- next batch
-- {"h1":"53f6bb2fcbb6f3811278632af5561fea1e17ecfe694b3de160bed7d083e7a6aa","resource":"scjg.licence"}
delete from qianzhi.source_quarantine where resource = @resource and key_hash in (select convert(varchar(64), c1) from (values (@h1)) h(c1))

-- next batch
-- {"f1":"0ec8878371262b937781335a8f10e6419e3fe6f58c6d217137d87a744b61e9cd","f2":"[\"1\",\"x\"]","f3":"QZ-ROW-VALUE","f4":"name","f5":"zero","resource":"scjg.licence"}
delete from qianzhi.source_quarantine where resource = @resource and key_hash in (select convert(varchar(64), c1) from (values (@f1, @f2, @f3, @f4, @f5)) f(c1, c2, c3, c4, c5))

-- next batch
-- {"f1":"0ec8878371262b937781335a8f10e6419e3fe6f58c6d217137d87a744b61e9cd","f2":"[\"1\",\"x\"]","f3":"QZ-ROW-VALUE","f4":"name","f5":"zero","resource":"scjg.licence"}
insert into qianzhi.source_quarantine (resource, key_hash, key_text, code, item, reason)
select @resource, c1, c2, c3, c4, c5 from (values (@f1, @f2, @f3, @f4, @f5)) f(c1, c2, c3, c4, c5)

-- next batch
commit transaction
