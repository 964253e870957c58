-- Query and API (Art. 16): what people ask for and why, programs that hold a grant, and what was read.

-- What a person reads a resource for: said once a session.
create table query_purpose (
  -- Hash of the session's secret, or the key that asks.
  session text not null,
  resource text not null references resource,
  purpose text not null,
  at timestamptz not null,
  primary key (session, resource)
);
create index query_purpose_at on query_purpose (at);

create table query_usage (
  actor text not null,
  day date not null,
  queries bigint not null default 0,
  rows bigint not null default 0,
  primary key (actor, day)
);

-- Keys that the end of a snapshot took away: changes since a position tell them as deletes.
create table resource_swept (
  resource text not null references resource,
  position bigint not null,
  -- JSON array of the key's portable texts.
  key text not null,
  primary key (resource, position, key)
);

-- Of API: requests a second, and a day; null: as hub.yaml says.
alter table access_grant add column api_rate int, add column api_quota bigint;

-- A program that calls the API by one grant (OAuth 2.0 client).
create table api_client (
  id text primary key,
  access_grant text not null references access_grant,
  name text not null,
  -- Networks that it may call from; null: any.
  addresses text[],
  created_by text not null,
  created_at timestamptz not null,
  ended_at timestamptz
);
create index api_client_grant on api_client (access_grant);

-- What it proves itself with: a secret, or the key that signs its assertions. More than one while it is rotated.
create table api_client_key (
  id bigint generated always as identity primary key,
  client text not null references api_client,
  secret_hash text unique,
  jwk jsonb,
  created_at timestamptz not null,
  ends_at timestamptz,
  check ((secret_hash is null) <> (jwk is null))
);
create index api_client_key_client on api_client_key (client);

-- Ids of assertions that were used, until they end (RFC 7523).
create table api_assertion (
  client text not null,
  jti text not null,
  ends_at timestamptz not null,
  primary key (client, jti)
);

-- What was read, written before it is answered.
create table api_usage_day (
  access_grant text not null references access_grant,
  day date not null,
  requests bigint not null default 0,
  rows bigint not null default 0,
  primary key (access_grant, day)
);
create table api_usage_minute (
  client text not null references api_client,
  minute timestamptz not null,
  kind text not null,
  requests bigint not null default 0,
  rows bigint not null default 0,
  -- It stands in the audit.
  recorded boolean not null default false,
  primary key (client, minute, kind)
);
create index api_usage_minute_open on api_usage_minute (minute) where not recorded;

-- Programs with an access token, too.
alter table audit_entry drop constraint audit_entry_via_check,
  add constraint audit_entry_via_check check (via in ('session', 'key', 'admin-key', 'agent', 'client', 'hub'));
