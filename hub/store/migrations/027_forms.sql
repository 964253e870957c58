-- Rows that people enter (Art. 15): the hub's own producer makes them batches of the resource's stream.

-- Who brought which batch. Written before its batch, as the log is in no transaction with it; `stored` where the batch is known to be there.
create table supply_entry (
  id bigint generated always as identity primary key,
  resource text not null references resource,
  epoch bigint not null,
  seq bigint not null,
  hash text not null,
  -- Null: a machine, or the hub itself.
  person bigint references person,
  -- As the audit says who acted: actor, agency, via, ip.
  by jsonb not null,
  at timestamptz not null,
  -- What the audit calls it: row.create, row.change, row.delete; supply.snapshot, or supply.take-over where another producer, or none, was before.
  act text not null,
  rows int not null,
  stored boolean not null default false,
  unique (resource, epoch, seq, hash)
);
create index supply_entry_unstored on supply_entry (at) where not stored;

-- Rows of an entry, by SHA-256 of resource and key: values are in the batch alone.
create table supply_entry_row (
  row_hash bytea not null,
  entry bigint not null references supply_entry on delete cascade,
  op text not null check (op in ('create', 'change', 'delete')),
  primary key (row_hash, entry)
);
create index supply_entry_row_entry on supply_entry_row (entry);

-- Rows that are not complete yet: each person's own.
create table supply_draft (
  id bigint generated always as identity primary key,
  resource text not null references resource,
  person bigint not null references person on delete cascade,
  -- Texts by item id.
  "values" jsonb not null,
  -- The position of the row that it changes; null for a new one.
  seen text,
  at timestamptz not null
);
create index supply_draft_person on supply_draft (person, resource);
