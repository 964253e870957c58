-- Open data (Art. 5, 7.5): what a provider proposed and the office released to the public, and what was taken.

create table opening (
  id bigint generated always as identity primary key,
  resource text not null references resource,
  -- Nothing else is open by it; of these, what is public at the moment.
  items text[] not null,
  note text,
  state text not null,
  reason text,
  created_at timestamptz not null,
  released_at timestamptz
);
create index opening_resource on opening (resource, id);
create unique index opening_open on opening (resource) where state = 'proposed';
create index opening_released on opening (resource) where state = 'released';

-- Downloads by the public.
create table open_usage (
  resource text not null references resource,
  day date not null,
  -- csv, json, xlsx, ndjson; rows: a page of them.
  kind text not null,
  downloads bigint not null default 0,
  primary key (resource, day, kind)
);

-- The newest file of each kind that was sent to its end.
create table open_file (
  resource text not null references resource,
  kind text not null,
  -- What it was made from: it is the one of now while these are.
  opening bigint not null references opening,
  catalog_version int not null,
  epoch bigint not null,
  seq bigint not null,
  rows bigint not null,
  bytes bigint not null,
  sha256 text not null,
  primary key (resource, kind)
);
