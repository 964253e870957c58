-- What waits for somebody (GET /todo) is few among many that are over.
create index application_open on application (state, id) where state in ('draft', 'consulting', 'reviewing');
create index application_consent_asked on application_consent (application) where state = 'asked';
create index demand_open on demand (state, id) where state in ('submitted', 'negotiating', 'agreed');
create index access_grant_waiting on access_grant (state, id) where state in ('suspended', 'held');
create index machine_application_open on machine_application (state, id) where state in ('applied', 'approved');
create index publication_request_open on publication_request (state, id) where state = 'asked';
create index correction_open on correction (state, id) where state in ('reported', 'passed', 'answered');
create index declaration_open on declaration (state, id) where state in ('drafted', 'reported', 'delegated', 'escalated', 'noticed');
create index rectification_order_open on rectification_order (state, id) where state in ('issued', 'answered', 'transferred');
create index registration_waiting on registration (state, id) where state in ('draft', 'submitted', 'returned');
create index resource_suspended on resource (code) where state = 'suspended';
create index agent_not_started on agent (id) where state = 'active' and last_seen is null;
