-- The registry that exchange needs, and the exchange's own state. People, roles and workflow come beside it.

create table agency (
  code text primary key,
  name text not null,
  created_at timestamptz not null default now()
);

-- JWK thumbprint (RFC 7638) of an Ed25519 public key: the key id that requests and statements name.
create function key_id(public_key text) returns text immutable strict language sql as $$
  select translate(rtrim(encode(sha256(convert_to('{"crv":"Ed25519","kty":"OKP","x":"' || public_key || '"}', 'UTF8')), 'base64'), '='), '+/', '-_')
$$;

create table agent (
  id text primary key,
  agency text not null references agency,
  name text not null,
  public_key text not null unique,
  key_id text not null unique generated always as (key_id(public_key)) stored,
  state text not null default 'active' check (state in ('active', 'revoked')),
  enrolled_at timestamptz not null default now(),
  last_seen timestamptz,
  report jsonb
);

create table enrolment_token (
  secret_hash text primary key,
  agency text not null references agency,
  expires_at timestamptz not null,
  used_by text references agent,
  created_at timestamptz not null default now()
);

create table resource (
  code text primary key,
  agency text not null references agency,
  -- Agent that produces the stream; null: the agency's only active agent.
  producer text references agent,
  version int not null,
  keep text not null default 'store' check (keep in ('store', 'relay')),
  state text not null default 'active' check (state in ('active', 'suspended')),
  created_at timestamptz not null default now()
);

create table resource_version (
  resource text not null references resource,
  version int not null,
  schema jsonb not null,
  -- Ids of closed items whose data the provider stores on the hub all the same (Art. 5).
  stored_closed_items text[] not null default '{}',
  published_at timestamptz not null default now(),
  primary key (resource, version)
);

-- "grant" is a reserved word.
create table access_grant (
  id text primary key,
  resource text not null references resource,
  agency text not null references agency,
  items text[] not null,
  mode text not null default 'exchange',
  state text not null default 'active' check (state in ('active', 'suspended', 'revoked')),
  reason text,
  valid_to timestamptz,
  created_at timestamptz not null default now()
);

create table route (
  id text primary key,
  access_grant text not null references access_grant,
  agent text not null references agent,
  -- What the receiver's receipts say.
  epoch bigint, seq bigint, hash text,
  written bigint not null default 0,
  deleted bigint not null default 0,
  quarantine bigint not null default 0,
  receipt text,
  -- When a receipt last moved it, or the agent took it up again: what has not moved for long is lapsed.
  moved_at timestamptz not null default now(),
  -- Last position the agent asked after, i.e. what was delivered to it; up to a second behind.
  asked_epoch bigint, asked_seq bigint, asked_at timestamptz,
  created_at timestamptz not null default now(),
  unique (access_grant, agent)
);

create table policy (
  agent text primary key references agent,
  serial bigint not null,
  content_hash text not null,
  jws text not null,
  expires_at timestamptz not null
);

create table stream (
  resource text primary key references resource,
  producer text not null,
  -- For the pages, up to a second behind: the log itself says what its head is.
  epoch bigint, seq bigint, hash text,
  last_push timestamptz,
  -- Highest epoch ever heard of, also from receivers ahead of a restored hub.
  known_epoch bigint not null default 0,
  -- A wanted snapshot must begin after this place.
  snapshot_wanted boolean not null default false,
  wanted_after_epoch bigint, wanted_after_seq bigint,
  head_statement text
);

-- The batch log. Hub's default implementation of hub/log.ts. The head stays when its batch is trimmed.
create table log_stream (
  resource text primary key,
  epoch bigint not null,
  seq bigint not null,
  hash text not null,
  receipt text not null,
  -- Encoded bytes ever appended: differences of it say how much lies between two places.
  total bigint not null,
  stored_at timestamptz not null default now()
);

create table log_batch (
  resource text not null,
  epoch bigint not null,
  seq bigint not null,
  hash text not null,
  began bigint,
  last boolean not null default false,
  rows int not null,
  bytes int not null,
  -- log_stream.total after this batch.
  total bigint not null,
  stored_at timestamptz not null default now(),
  receipt text not null,
  batch bytea not null,
  primary key (resource, epoch, seq)
);
alter table log_batch alter column batch set storage external;
create index log_batch_begun on log_batch (resource, epoch, seq) where began = seq;
create index log_batch_ended on log_batch (resource, epoch, seq) where last;

-- Acts and refusals; sealed into a chain by the registry's sealer. Insert-only.
create table audit_entry (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  act text not null,
  object text not null,
  outcome text not null,
  details jsonb not null default '{}'
);

create table setting (
  key text primary key,
  value text not null
);
