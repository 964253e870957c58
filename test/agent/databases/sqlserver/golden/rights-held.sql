select convert(nvarchar(1), coalesce(has_perms_by_name(N'[dbo].[licence]', N'OBJECT', N'SELECT', N'id', N'COLUMN'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[dbo].[licence]', N'OBJECT', N'SELECT', N'name', N'COLUMN'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[dbo].[licence]', N'OBJECT', N'SELECT', N'amount', N'COLUMN'), 0))

-- next batch
select convert(nvarchar(1), coalesce(has_perms_by_name(N'[dbo].[licence]', N'OBJECT', N'VIEW CHANGE TRACKING'), 0))

-- next batch
select convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.stream', N'OBJECT', N'SELECT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.stream', N'OBJECT', N'INSERT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.stream', N'OBJECT', N'UPDATE'), 0))

-- next batch
select convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.source_quarantine', N'OBJECT', N'SELECT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.source_quarantine', N'OBJECT', N'INSERT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.source_quarantine', N'OBJECT', N'UPDATE'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.source_quarantine', N'OBJECT', N'DELETE'), 0))

-- next batch
select convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.[q_scjg_licence_e9e61fdf]', N'OBJECT', N'SELECT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.[q_scjg_licence_e9e61fdf]', N'OBJECT', N'INSERT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'qianzhi.[q_scjg_licence_e9e61fdf]', N'OBJECT', N'DELETE'), 0))

-- next batch
select convert(nvarchar(1), coalesce(has_perms_by_name(db_name(), N'DATABASE', N'CREATE TABLE'), 0))

-- next batch
select convert(nvarchar(1), coalesce(has_perms_by_name(N'[qianzhi]', N'SCHEMA', N'ALTER'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[qianzhi]', N'SCHEMA', N'SELECT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[qianzhi]', N'SCHEMA', N'INSERT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[qianzhi]', N'SCHEMA', N'UPDATE'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[qianzhi]', N'SCHEMA', N'DELETE'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[qianzhi]', N'SCHEMA', N'REFERENCES'), 0))

-- next batch
select convert(nvarchar(1), coalesce(has_perms_by_name(N'[dbo].[licence]', N'OBJECT', N'SELECT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[dbo].[licence]', N'OBJECT', N'INSERT'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[dbo].[licence]', N'OBJECT', N'UPDATE'), 0)), convert(nvarchar(1), coalesce(has_perms_by_name(N'[dbo].[licence]', N'OBJECT', N'DELETE'), 0))
