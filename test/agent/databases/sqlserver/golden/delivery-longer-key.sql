alter table [dbo].[licence] drop constraint [PK_licence]

-- next batch
alter table [dbo].[licence] alter column [id] nvarchar(800) collate Latin1_General_100_BIN2 not null

-- next batch
alter table [dbo].[licence] add primary key nonclustered ([id], [qz_spaces])
