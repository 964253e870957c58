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
