-- Lines are looked at all together: who produces a resource where none is named.
create index agent_active on agent (agency) where state = 'active';

-- Rows that receipts brought in the minute of the newest one, and in the minute before that.
alter table route add column minute timestamptz, add column minute_rows bigint not null default 0, add column before_rows bigint not null default 0;

-- What was done wakes who watches, when it is committed and wherever the hub process is (store/wakeups.ts): `event:<topic> …`.
create function tell_event() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'history' then
    perform pg_notify('qianzhi_wake', 'event:changed ' || new.workflow || ' ' || new.object);
  elsif tg_table_name = 'audit_entry' then
    perform pg_notify('qianzhi_wake', 'event:changed ' || new.object);
  elsif tg_table_name = 'job' then
    perform pg_notify('qianzhi_wake', 'event:job ' || new.id);
  elsif tg_table_name = 'notice' then
    perform pg_notify('qianzhi_wake', 'event:notice ' || coalesce('person ' || new.person, 'role ' || new.role || ' ' || coalesce(new.agency, '')));
  elsif tg_table_name = 'notice_read' then
    perform pg_notify('qianzhi_wake', 'event:notice person ' || new.person);
  elsif tg_table_name = 'session' then
    perform pg_notify('qianzhi_wake', 'event:session ' || old.secret_hash);
  end if;
  return null;
end $$;

create trigger tell_event after insert on history for each row execute function tell_event();
-- What has no history of its own.
create trigger tell_event after insert on audit_entry for each row
  when (new.outcome = 'done' and new.object ~ '^(agency|evaluation|key) ') execute function tell_event();
create trigger tell_event after insert or update on job for each row execute function tell_event();
create trigger tell_event after insert on notice for each row execute function tell_event();
create trigger tell_event after insert on notice_read for each row execute function tell_event();
create trigger tell_event after delete on session for each row execute function tell_event();
