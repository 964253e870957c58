-- One title of an agency's resources, as names are compared, whatever happens at the same moment. Of those that have one title already the
-- older keeps it; the others have no compared form until they are renamed, and the hub's next start tells their agency and the office.
update resource r set title_form = null where r.state <> 'withdrawn' and exists (
  select from resource o where o.agency = r.agency and o.title_form = r.title_form and o.state <> 'withdrawn'
    and (coalesce(o.published_at, 'infinity'), o.code) < (coalesce(r.published_at, 'infinity'), r.code));
drop index resource_title_form;
create unique index resource_title_form on resource (agency, title_form) where state <> 'withdrawn';
-- Forms are made anew, and duplicates told.
delete from setting where key = 'name-form';
