-- What was in force of a resource from each moment on: a duty is judged by it (Art. 14), not by how the resource stands today.
create table resource_phase (
  resource text not null references resource,
  -- In the order of the acts.
  number bigint generated always as identity,
  since timestamptz not null,
  cycle text not null,
  state text not null,
  supply_mode text not null,
  -- Whether data of it comes to the hub at all (Art. 5, 27).
  supplied boolean not null,
  primary key (resource, number)
);

insert into resource_phase (resource, since, cycle, state, supply_mode, supplied)
select r.code, moment.at, coalesce(v.content ->> 'cycle', r.cycle), coalesce(s.state, 'active'), coalesce(v.content ->> 'supplyMode', r.supply_mode),
  coalesce(v.content ->> 'sharing' is distinct from 'none' and not (v.content ->> 'secrecy')::boolean
    and (jsonb_array_length(v.content -> 'storedClosed') > 0 or v.content -> 'items' @? '$[*] ? (@.openness != "closed")'),
    r.sharing <> 'none' and not r.secrecy)
from resource r
  cross join lateral (select r.published_at union select published_at from catalog_version where resource = r.code
    union select at from history where workflow = 'resource' and object = r.code) moment (at)
  left join lateral (select content from catalog_version where resource = r.code and published_at <= moment.at
    order by number desc limit 1) v on true
  left join lateral (select to_state as state from history where workflow = 'resource' and object = r.code and at <= moment.at
    order by id desc limit 1) s on true
order by r.code, moment.at;

-- A signed "nothing changed" that the evidence contradicts counts no longer; what is excused says why.
alter table duty_mark drop constraint duty_mark_mark_check;
alter table duty_mark add constraint duty_mark_mark_check
  check (mark in ('warned', 'updated', 'explained', 'overdue', 'excused', 'void'));
alter table duty_mark add column because text;

-- Rows of changes that the hub found to be as they had been.
alter table supply_day add column same_rows bigint not null default 0;
