-- Each agency's period is counted by itself: a condition on many of them is not pushed into the view, which then reckons all there are.
create or replace function tally_duties() returns trigger language plpgsql as $$
declare one record;
begin
  for one in select distinct agency, period, ends from added where mark <> 'warned' order by agency, period loop
    insert into duty_tally (agency, period, ends) values (one.agency, one.period, one.ends) on conflict do nothing;
    -- Of two at once the second counts what the first has written.
    perform from duty_tally where (agency, period) = (one.agency, one.period) for update;
    update duty_tally t set (updated, explained, overdue, excused) = (
      select count(*) filter (where state = 'updated'), count(*) filter (where state = 'explained'),
        count(*) filter (where state = 'overdue'), count(*) filter (where state = 'excused')
      from duty_state s where s.agency = one.agency and s.ends = one.ends and s.period = one.period)
    where (t.agency, t.period) = (one.agency, one.period);
  end loop;
  return null;
end $$;
