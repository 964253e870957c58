-- A view of the registry reads one agent's routes; duties are looked for by the day on which rows came.
create index route_agent on route (agent);
create index supply_day_day on supply_day (day);
-- What was delivered today, of all routes.
create index delivery_day_day on delivery_day (day);
-- What is looked for in the audit, from the newest on.
create index audit_entry_agency on audit_entry (agency, at, id) where agency is not null;
create index audit_entry_ip on audit_entry (ip, at, id) where ip is not null;
create index audit_entry_refused on audit_entry (at, id) where outcome <> 'done';
