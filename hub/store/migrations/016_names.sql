-- Names in the form in which they are compared (hub/records/name-form.ts). The hub fills it at its start, for what is there already, and
-- anew whenever the form changes. Null: not filled yet, or another one had the name before it was asked for.
alter table agency add column name_form text;
create unique index agency_name_form on agency (name_form) where state <> 'closed';
alter table resource add column title_form text;
create index resource_title_form on resource (agency, title_form);
