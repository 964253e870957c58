-- Reconciliations of routes: each run, what both sides signed, and the keys in which they differed.

create table reconciliation (
  id bigint generated always as identity primary key,
  route text not null references route,
  -- Who asked for it: `hub` for the schedule.
  requested_by text not null,
  requested_at timestamptz not null,
  -- Whether differing rows are sent again.
  repair boolean not null,
  state text not null check (state in ('waiting', 'running', 'equal', 'different', 'failed')),
  -- A waiting run is not begun before; no run goes on after its deadline.
  not_before timestamptz not null,
  deadline timestamptz not null,
  began_at timestamptz,
  ended_at timestamptz,
  -- The process of the hub that conducts it, and when it last said so.
  conductor text,
  beat_at timestamptz,
  -- What it is doing, and how many rows were read of it.
  step text,
  rows bigint,
  -- Why it failed, or was put off.
  code text,
  details jsonb,
  -- What both signed, and their signatures (compact JWS of the same statement).
  statement jsonb,
  source_signature text,
  target_signature text,
  source_agent text,
  target_agent text
);
-- One at a time, and one that waits.
create unique index reconciliation_open on reconciliation (route) where state in ('waiting', 'running');
create index reconciliation_route on reconciliation (route, id);

create table reconciliation_key (
  reconciliation bigint not null references reconciliation on delete cascade,
  -- Canonical values as a JSON array.
  key jsonb not null,
  -- Seen from the receiver.
  difference text not null check (difference in ('missing', 'extra', 'changed')),
  state text not null check (state in ('open', 'settled', 'moving', 'quarantined', 'repaired', 'remaining')),
  -- Of a quarantined one: which side, and its code.
  side text check (side in ('source', 'target')),
  code text
);
create index reconciliation_key_of on reconciliation_key (reconciliation);
