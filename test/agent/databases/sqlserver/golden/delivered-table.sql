if object_id(N'[dbo].[delivered]', N'U') is null
create table [dbo].[delivered] (
  [id] nvarchar(120) collate Latin1_General_100_BIN2 not null,
  [long] nvarchar(max) null,
  [number] bigint null,
  [exact] decimal(38,20) null,
  [flag] bit null,
  [day] date null,
  [moment] datetime2(6) null,
  [instant] datetimeoffset(6) null,
  [clock] time(6) null,
  [bytes] varbinary(max) null,
  [doc] nvarchar(max) null,
  [qz_source] nvarchar(64) collate Latin1_General_100_BIN2 null,
  [qz_position] bigint null,
  [qz_received_at] datetime2(6) null,
  [qz_spaces] nvarchar(30) collate Latin1_General_100_BIN2 not null default N'',
  primary key ([id], [qz_spaces])
)

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'食品经营许可证', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''id', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'id'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''long', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'long'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''number', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'number'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''exact', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'exact'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''flag', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'flag'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''day', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'day'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''moment', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'moment'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''instant', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'instant'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''clock', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'clock'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''bytes', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'bytes'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'信息项''doc', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'doc'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'数据来源机关', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'qz_source'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'交换批次位置', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'qz_position'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'接收时间（UTC）', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'qz_received_at'
end try
begin catch
end catch

-- next batch
begin try
  exec sp_addextendedproperty @name = N'MS_Description', @value = N'文本主键末尾的空格数', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'delivered', @level2type = N'COLUMN', @level2name = N'qz_spaces'
end try
begin catch
end catch
