-- Corrections (Art. 18), declarations (Art. 7.4, 14, 20), rectification orders (Art. 27).

create table correction (
  id bigint generated always as identity primary key,
  -- Who reports.
  agency text not null references agency,
  reporter bigint references person,
  resource text not null references resource,
  -- The row, as the reporter names it: values of the key items; null where the whole resource is meant.
  row_key jsonb,
  items text[] not null default '{}',
  fault text not null,
  wanted text,
  state text not null,
  result text check (result in ('corrected', 'no-error')),
  answer text,
  -- Why the office dismissed it, or the reporter reports it again.
  reason text,
  reopened boolean not null default false,
  created_at timestamptz not null
);
create index correction_resource on correction (resource);

create table declaration (
  id bigint generated always as identity primary key,
  agency text not null references agency,
  kind text not null check (kind in ('no-change', 'cannot-supply', 'force-majeure')),
  -- Null: the whole agency.
  resource text references resource,
  -- Of no-change: the period, as duties name it.
  period text,
  text text not null,
  basis text,
  -- Of force majeure: what is done about it, and how long it will last.
  measures text,
  until date,
  -- Of no-change: what it was signed with.
  evidence jsonb,
  drafted_by bigint not null references person,
  signed_by bigint references person,
  signed_at timestamptz,
  state text not null,
  result text,
  created_at timestamptz not null
);
create index declaration_agency on declaration (agency);

create table rectification_order (
  id bigint generated always as identity primary key,
  agency text not null references agency,
  resource text references resource,
  cause text not null,
  text text not null,
  due date not null,
  issuer text not null check (issuer in ('office', 'supervisor', 'secrecy')),
  issued_by text not null,
  state text not null,
  answer text,
  reason text,
  result text,
  created_at timestamptz not null
);
create index rectification_order_agency on rectification_order (agency);

-- Why a resource is stopped: told to those whose routes end.
alter table resource add column stop_reason text;
