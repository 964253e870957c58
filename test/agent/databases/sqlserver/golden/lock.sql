declare @answer int;
exec @answer = sp_getapplock @Resource = N'qianzhi:capture', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0;
select @answer

-- next batch
select applock_test(N'public', N'qianzhi:capture', N'Exclusive', N'Session')
