if exists (select 1 from sys.triggers where name = N'qz_scjg_licence_e9e61fdf_i' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_scjg_licence_e9e61fdf_i]

-- next batch
if exists (select 1 from sys.triggers where name = N'qz_scjg_licence_e9e61fdf_u' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_scjg_licence_e9e61fdf_u]

-- next batch
if exists (select 1 from sys.triggers where name = N'qz_scjg_licence_e9e61fdf_d' and parent_id = object_id(N'[dbo].[licence]'))
drop trigger [qz_scjg_licence_e9e61fdf_d]

-- next batch
if object_id(N'qianzhi.stream', N'U') is not null
begin
if exists (select 1 from qianzhi.stream where resource = N'scjg.licence' and tracking_made = 1)
  and exists (select 1 from sys.change_tracking_tables where object_id = object_id(N'[dbo].[licence]'))
  exec(N'alter table [dbo].[licence] disable change_tracking')
end

-- next batch
if object_id(N'qianzhi.[q_scjg_licence_e9e61fdf]', N'U') is not null drop table qianzhi.[q_scjg_licence_e9e61fdf]

-- next batch
if object_id(N'qianzhi.stream', N'U') is not null
begin
delete from qianzhi.stream where resource = N'scjg.licence'
delete from qianzhi.source_quarantine where resource = N'scjg.licence'
end

-- next batch
if object_id(N'qianzhi.stream', N'U') is not null
begin
if not exists (select 1 from qianzhi.stream)
begin
drop table qianzhi.stream
drop table qianzhi.source_quarantine
end
end
