-- Of a registration that was drafted from a table: the local column of each item, as that table had it.
alter table registration add column columns jsonb;
