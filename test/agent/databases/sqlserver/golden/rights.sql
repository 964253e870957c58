grant select on [dbo].[licence] to [front]

-- next batch
grant view change tracking on [dbo].[licence] to [front]

-- next batch
grant select, insert, update on qianzhi.stream to [front]

-- next batch
grant select, insert, update, delete on qianzhi.source_quarantine to [front]

-- next batch
grant select, insert, delete on qianzhi.[q_scjg_licence_e9e61fdf] to [front]

-- next batch
grant select on [dbo].[licence] to [front]

-- next batch
grant select, insert, update on qianzhi.stream to [front]

-- next batch
grant select, insert, update, delete on qianzhi.source_quarantine to [front]

-- next batch
grant select, insert, delete on qianzhi.[q_scjg_licence_e9e61fdf] to [front]

-- next batch
grant create table to [front]

-- next batch
grant alter, select, insert, update, delete, references on schema::[qianzhi] to [front]

-- next batch
grant select, insert, update, delete on [dbo].[licence] to [front]

-- next batch
grant select, insert, update, delete on [dbo].[licence] to [front]
