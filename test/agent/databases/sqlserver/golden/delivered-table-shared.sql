if object_id(N'[交换].[许可 证]', N'U') is null
create table [交换].[许可 证] (
  [region] bigint not null,
  [name] nvarchar(200) null,
  [code] nvarchar(40) collate Latin1_General_100_BIN2 not null,
  [qz_source] nvarchar(64) collate Latin1_General_100_BIN2 not null,
  [qz_position] bigint null,
  [qz_received_at] datetime2(6) null,
  [qz_deleted] bit not null default 0,
  [qz_spaces] nvarchar(30) collate Latin1_General_100_BIN2 not null default N'',
  primary key ([qz_source], [region], [code], [qz_spaces])
)

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'食品经营许可证', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''region', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证', @level2type = N'COLUMN', @level2name = N'region'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''name', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证', @level2type = N'COLUMN', @level2name = N'name'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''code', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证', @level2type = N'COLUMN', @level2name = N'code'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'数据来源机关', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证', @level2type = N'COLUMN', @level2name = N'qz_source'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'交换批次位置', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证', @level2type = N'COLUMN', @level2name = N'qz_position'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'接收时间（UTC）', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证', @level2type = N'COLUMN', @level2name = N'qz_received_at'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'来源已删除', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证', @level2type = N'COLUMN', @level2name = N'qz_deleted'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'文本主键末尾的空格数', @level0type = N'SCHEMA', @level0name = N'交换', @level1type = N'TABLE', @level1name = N'许可 证', @level2type = N'COLUMN', @level2name = N'qz_spaces'
end try
begin catch
end catch
