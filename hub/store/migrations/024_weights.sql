-- With which weights evaluations are made, from each moment on: a period is judged by those of its end, not by those of the day on which
-- its table is drawn up.
create table evaluation_weights (
  number bigint generated always as identity primary key,
  since timestamptz not null,
  weights jsonb not null
);
insert into evaluation_weights (since, weights)
select at, details -> 'weights' from audit_entry where act = 'supervision.settings' and details -> 'weights' is not null order by id;
