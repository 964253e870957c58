-- Resource tables: what the hub stores of a resource as typed rows, for query, API and open data. Each is `data.r<id>`, made by its follower.
create schema data;

create table resource_table (
  id bigint generated always as identity primary key,
  resource text not null references resource,
  -- filling: made from a snapshot, read by nobody; live: what readers see; gone: to be dropped when nobody reads it any more.
  state text not null default 'filling' check (state in ('filling', 'live', 'gone')),
  -- Of the schema its rows have.
  version int not null,
  -- Ids of the items that are its columns, and of those that an index stands on beside the key.
  items text[] not null,
  indexed text[] not null default '{}',
  -- By which columns and indexes were looked at last.
  catalog_version int not null default -1,
  -- Where the snapshot began that it is made from, and whether that is complete.
  began_epoch bigint not null,
  began_seq bigint not null,
  complete boolean not null default false,
  -- It holds what the stream says up to here; null before its first batch.
  epoch bigint,
  seq bigint,
  hash text,
  rows bigint not null default 0,
  -- Hub's time of acceptance of the newest batch in it.
  as_of timestamptz,
  -- Made anew from the log by command.
  rebuild boolean not null default false,
  created_at timestamptz not null default now()
);
create unique index resource_table_one on resource_table (resource, state) where state <> 'gone';
create index resource_table_gone on resource_table (id) where state = 'gone';

-- Rows that cannot stand in the table, by key, with the code of the reason; the next row of the key clears its line.
create table resource_table_aside (
  resource_table bigint not null references resource_table on delete cascade,
  -- JSON array of the key's portable texts, in the order of the schema.
  key text not null,
  code text not null,
  position bigint not null,
  primary key (resource_table, key)
);

-- Why a resource's table does not follow its stream; no row where it does.
create table resource_table_fault (
  resource text primary key references resource,
  code text not null,
  -- {"zh": …, "en": …}
  reason text not null,
  since timestamptz not null
);
