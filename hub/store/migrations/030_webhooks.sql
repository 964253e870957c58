-- Webhooks (Art. 16): changes are sent to programs that cannot ask for them.

-- An API client that the hub calls: name, grant and end are the client's.
create table webhook (
  client text primary key references api_client,
  url text not null,
  -- held: given up after so many tries; it stands still until somebody has it go on.
  state text not null default 'active' check (state in ('active', 'held')),
  -- Up to where the receiver took everything, as changes tell places; null: a copy begins.
  place text,
  -- Whether the copy was whole there.
  whole boolean not null default false,
  -- Hash of the items and masks that the copy is made of.
  shape text,
  -- Of the newest portion.
  number bigint not null default 0,
  -- The portion under way, which is sent again as it is: its end, its changes, whether the copy is whole behind it.
  portion_next text,
  portion_changes int,
  portion_whole boolean,
  -- Hash of what may change its shape, as it was when that was looked at last.
  looked text,
  attempts int not null default 0,
  next_at timestamptz not null,
  fault text,
  failed_since timestamptz,
  delivered_at timestamptz,
  -- The process that sends now.
  lease text,
  leased_until timestamptz
);
