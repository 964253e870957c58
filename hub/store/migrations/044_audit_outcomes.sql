-- Refusals of one code, from the newest on.
create index audit_entry_code on audit_entry (outcome, at, id) where outcome <> 'done';
