-- The last overdue period of each resource, for what waits to be done.
create index duty_mark_overdue on duty_mark (resource, ends) where mark = 'overdue';
