-- The order of decisions on access (Art. 7, 16, 21): an approval, what a grant stands on, a grant's end. The newest counts.
create sequence decision;
alter table application add column decision bigint;
-- The decision that a grant stands on (its application's, or the admin key's), and the one that ended it.
alter table access_grant add column basis bigint;
alter table access_grant add column ended bigint;

update application a set decision = ordered.n
  from (select id, row_number() over (order by decided_at, id) as n from application where decided_at is not null) ordered where ordered.id = a.id;
select setval('decision', 1 + (select count(*) from application));
update access_grant g set basis = coalesce((select decision from application where id = g.application), 0);
update access_grant set ended = nextval('decision') where state in ('revoked', 'expired', 'given-up');
alter table access_grant alter column basis set default nextval('decision');
alter table access_grant alter column basis set not null;

-- Whoever ends a grant, in whatever way.
create function note_end() returns trigger language plpgsql as $$
begin
  new.ended := case when new.state in ('revoked', 'expired', 'given-up') then coalesce(old.ended, nextval('decision')) end;
  return new;
end $$;
create trigger grant_ended before update of state on access_grant for each row when (new.state is distinct from old.state) execute function note_end();
create index access_grant_of on access_grant (resource, agency, mode);
