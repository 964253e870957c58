grant create table to [front]

-- next batch
exec(N'create schema qianzhi authorization dbo'); grant alter, select, insert, update, delete, references on schema::[qianzhi] to [front]

-- next batch
grant alter, select, insert, update, delete, references on schema::[dbo] to [front]
