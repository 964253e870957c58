-- The day is null while it cannot be reckoned; `waits` says for what: a year's official calendar, a receiver whose machine never asked.
alter table deadline alter column due drop not null;
alter table deadline add column waits text check (waits in ('calendar', 'receiver'));
-- Working days in which the act was needless for a while.
alter table deadline add column held int not null default 0;
-- The day that was given, where it has no length; and a day before which it is never due, since nobody knew it before.
alter table deadline add column given date;
alter table deadline add column not_before date;
update deadline set given = due where days is null;

-- The first receipt of a route: from then on its data is delivered.
alter table route add column first_receipt_at timestamptz;
update route set first_receipt_at = moved_at where receipt is not null;
