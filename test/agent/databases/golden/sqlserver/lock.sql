declare @answer int;
exec @answer = sp_getapplock @Resource = N'qianzhi:capture', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0;
select @answer
