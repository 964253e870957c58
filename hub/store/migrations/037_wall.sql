-- Keys may be bound to addresses, as credentials are.
alter table api_key add column addresses text[];

-- How many duties of an agency's period stand in which state: kept with the marks, so that nobody counts twenty thousand resources to see a board.
create table duty_tally (
  agency text not null references agency,
  period text not null,
  -- Last day of the period.
  ends date not null,
  updated integer not null default 0,
  explained integer not null default 0,
  overdue integer not null default 0,
  excused integer not null default 0,
  primary key (agency, period)
);
create index duty_tally_ends on duty_tally (ends);

-- What became of each duty, by its marks.
create view duty_state as
select agency, period, ends, resource,
  case when bool_or(mark = 'updated') then 'updated'
    when bool_or(mark = 'explained') and not bool_or(mark = 'void') then 'explained'
    when bool_or(mark = 'overdue') then 'overdue' else 'excused' end as state
from duty_mark where mark <> 'warned' group by agency, period, ends, resource;

insert into duty_tally (agency, period, ends, updated, explained, overdue, excused)
select agency, period, ends, count(*) filter (where state = 'updated'), count(*) filter (where state = 'explained'),
  count(*) filter (where state = 'overdue'), count(*) filter (where state = 'excused')
from duty_state group by agency, period, ends;

create function tally_duties() returns trigger language plpgsql as $$
begin
  insert into duty_tally (agency, period, ends)
  select distinct agency, period, ends from added where mark <> 'warned' order by agency, period on conflict do nothing;
  -- Of two at once the second counts what the first has written.
  perform from duty_tally where (agency, period) in (select agency, period from added where mark <> 'warned') order by agency, period for update;
  update duty_tally t set updated = c.updated, explained = c.explained, overdue = c.overdue, excused = c.excused
  from (
    select agency, period, count(*) filter (where state = 'updated') as updated, count(*) filter (where state = 'explained') as explained,
      count(*) filter (where state = 'overdue') as overdue, count(*) filter (where state = 'excused') as excused
    from duty_state
    where ends in (select ends from added where mark <> 'warned') and (agency, period) in (select agency, period from added where mark <> 'warned')
    group by agency, period) c
  where (t.agency, t.period) = (c.agency, c.period);
  return null;
end $$;
create trigger tally_duties after insert on duty_mark referencing new table as added for each statement execute function tally_duties();
