declare @answer int, @resource nvarchar(255) = N'qianzhi:capture:' + db_name();
exec @answer = sp_getapplock @Resource = @resource, @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 3000;
select @answer

-- next batch
declare @resource nvarchar(255) = N'qianzhi:capture:' + db_name();
select applock_test(N'public', @resource, N'Exclusive', N'Session')
