-- {"tsql":"select * from (\nselect id, name, amount from a join b on a.x = b.x -- the end\n) t"}
exec sp_describe_first_result_set @tsql

-- next batch
-- {}
select top (1) 1 from (
select id, name, amount from a join b on a.x = b.x -- the end
) t where (t.[id] is null)

-- next batch
-- {"limit":"100","after1":"a"}
select top (convert(int, @limit)) with ties t.[id], t.[name], convert(nvarchar(41), t.[amount])
from (
select id, name, amount from a join b on a.x = b.x -- the end
) t where t.[id] > @after1 collate Chinese_PRC_CI_AS order by t.[id]
