-- People, what they may be, how they prove who they are; agencies as a tree. And the history of everything that has a workflow.

alter table agency
  add column parent text references agency,
  -- 镇街, 市直机关, 中央省属驻莞单位, 其他
  add column kind text not null default 'municipal' check (kind in ('town', 'municipal', 'stationed', 'other')),
  -- Unified social credit code (GB 32100).
  add column uscc text,
  add column state text not null default 'active' check (state in ('active', 'closed')),
  -- Whom the agency has named (Art. 23): persons of this platform.
  add column responsible bigint,
  add column deputy bigint;

create table person (
  id bigint generated always as identity primary key,
  agency text not null references agency,
  -- Log-in name, lower case.
  login text not null unique,
  name text not null,
  email text,
  phone text,
  state text not null default 'invited' check (state in ('invited', 'active', 'disabled')),
  password text,
  password_set_at timestamptz,
  -- Hashes of earlier passwords, newest first.
  earlier_passwords text[] not null default '{}',
  -- Secret of the second factor (RFC 6238), sealed (access/sealed.ts); one that is being set up does not count until the person has shown a code of it.
  factor text,
  factor_pending text,
  -- Last time step whose code was used: a code counts once.
  factor_step bigint not null default 0,
  -- Sign-ins that failed in a row.
  failures int not null default 0,
  locked_until timestamptz,
  last_sign_in timestamptz,
  created_at timestamptz not null default now()
);
create index person_agency on person (agency);

alter table agency
  add foreign key (responsible) references person,
  add foreign key (deputy) references person;

create table person_role (
  person bigint not null references person,
  role text not null,
  given_at timestamptz not null default now(),
  given_by text not null,
  primary key (person, role)
);

-- A link by which a person sets the password: the first administrator's is printed at the first start.
create table invitation (
  secret_hash text primary key,
  -- Null: the link makes the first administrator.
  person bigint references person,
  expires_at timestamptz not null,
  used_at timestamptz,
  created_at timestamptz not null default now()
);

create table session (
  secret_hash text primary key,
  person bigint not null references person,
  created_at timestamptz not null,
  last_used timestamptz not null,
  address text
);
create index session_person on session (person);

create table api_key (
  id bigint generated always as identity primary key,
  secret_hash text not null unique,
  agency text not null references agency,
  name text not null,
  role text not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  created_by text not null,
  created_at timestamptz not null default now(),
  last_used timestamptz
);

-- Internal rules of an agency (Art. 23), each version kept.
create table agency_rules (
  agency text not null references agency,
  version int not null,
  name text not null,
  type text not null,
  content bytea not null,
  put_by text not null,
  put_at timestamptz not null default now(),
  primary key (agency, version)
);

-- What happened to each object that has a workflow.
create table history (
  id bigint generated always as identity primary key,
  workflow text not null,
  object text not null,
  event text not null,
  from_state text,
  to_state text not null,
  actor text not null,
  actor_name text not null,
  agency text,
  at timestamptz not null default clock_timestamp(),
  details jsonb not null default '{}'
);
create index history_object on history (workflow, object, id);
