-- Applications and the grants they become, front-end machines, demands outside the catalog, consents to publish.

create table application (
  id bigint generated always as identity primary key,
  -- Who asks.
  agency text not null references agency,
  -- One of the two: a resource, or all adopters of a standard.
  resource text references resource,
  standard text references standard,
  mode text not null check (mode in ('query', 'api', 'exchange')),
  items text[] not null,
  purpose text not null,
  -- Legal basis tied to the applicant's function (Art. 7).
  basis text not null,
  -- Delivering front-end; exchange only.
  agent text references agent,
  until timestamptz,
  at_end text not null default 'keep' check (at_end in ('keep', 'remove')),
  state text not null,
  -- As decided: never more than was asked for.
  approved_items text[],
  approved_until timestamptz,
  reason text,
  extended boolean not null default false,
  created_at timestamptz not null,
  submitted_at timestamptz,
  decided_at timestamptz,
  check ((resource is null) <> (standard is null))
);
create index application_agency on application (agency, id);
create index application_resource on application (resource) where resource is not null;
create index application_standard on application (standard) where standard is not null;

-- What the provider of a conditional resource says to an application.
create table application_consent (
  application bigint not null references application,
  resource text not null references resource,
  state text not null check (state in ('asked', 'consented', 'objected')),
  reason text,
  by text,
  at timestamptz not null,
  primary key (application, resource)
);

-- Null: granted by the admin key, in a trial without people.
alter table access_grant add column application bigint references application;
create index access_grant_application on access_grant (application) where application is not null;
create index access_grant_resource on access_grant (resource, agency);
create index access_grant_ends on access_grant (valid_to) where valid_to is not null;

create table machine_application (
  id bigint generated always as identity primary key,
  agency text not null references agency,
  name text not null,
  purpose text not null,
  provided_by text not null check (provided_by in ('office', 'agency')),
  -- The dead machine whose streams it is to go on with.
  replaces text references agent,
  state text not null,
  reason text,
  -- What enrolled.
  agent text references agent,
  created_at timestamptz not null
);
create index machine_application_agency on machine_application (agency, id);

alter table enrolment_token add column machine bigint references machine_application;

create table demand (
  id bigint generated always as identity primary key,
  agency text not null references agency,
  title text not null,
  what text not null,
  why text not null,
  basis text not null,
  -- Who the demanding agency thinks has it; the office decides.
  supposed text references agency,
  provider text references agency,
  state text not null,
  agreed_what text,
  agreed_until timestamptz,
  reason text,
  resource text references resource,
  created_at timestamptz not null
);
create index demand_agency on demand (agency, id);
create index demand_provider on demand (provider, id) where provider is not null;

create table demand_note (
  id bigint generated always as identity primary key,
  demand bigint not null references demand,
  agency text not null,
  name text not null,
  at timestamptz not null,
  text text not null
);
create index demand_note_demand on demand_note (demand, id);

create table publication_request (
  id bigint generated always as identity primary key,
  -- Who wants to publish what it receives.
  agency text not null references agency,
  access_grant text not null references access_grant,
  resource text not null references resource,
  items text[] not null,
  -- Where, what for, and how the source is named (Art. 5, 17).
  place text not null,
  purpose text not null,
  source text not null,
  state text not null,
  conditions text,
  until timestamptz,
  reason text,
  created_at timestamptz not null
);
create index publication_request_agency on publication_request (agency, id);
create index publication_request_resource on publication_request (resource, id);
