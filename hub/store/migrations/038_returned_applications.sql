-- An application that was returned for completion lies with its applicant: nobody need reply meanwhile.
alter table deadline drop constraint deadline_waits_check;
alter table deadline add constraint deadline_waits_check check (waits in ('calendar', 'receiver', 'applicant'));
drop index application_open;
create index application_open on application (state, id) where state in ('draft', 'returned', 'consulting', 'reviewing');
