-- The audit's chain. Entries come unsealed, in the transaction of the act; one sealer chains them. Both are insert-only.

alter table audit_entry
  -- Of the actor; null for the office's own acts and where nobody is known.
  add column agency text,
  -- How the actor proved who it is; null where nobody is known for it.
  add column via text check (via in ('session', 'key', 'admin-key', 'agent', 'hub')),
  add column ip text;

create index audit_entry_at on audit_entry (at, id);
create index audit_entry_object on audit_entry (object, at, id);
create index audit_entry_actor on audit_entry (actor, at, id);
create index audit_entry_act on audit_entry (act, at, id);

create table audit_seal (
  seq bigint primary key,
  entry bigint not null unique references audit_entry,
  -- SHA-256 of the entry's canonical text, which holds seq and the hash before.
  hash text not null
);

-- Entries that wait for their seal: an entry that commits late is in here when it shows, whatever its id is. Written by the trigger
-- below alone, so that no way of inserting an entry leaves it out; emptied only of what is sealed.
create table audit_unsealed (
  entry bigint primary key
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create function audit_wait() returns trigger language plpgsql as $$
begin
  insert into audit_unsealed (entry) values (new.id);
  return null;
end $$;

create function audit_refuse() returns trigger language plpgsql as $$
begin
  raise exception 'the audit is insert-only: % of %', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;

create function audit_only_sealed() returns trigger language plpgsql as $$
begin
  if exists (select from audit_seal where entry = old.entry) then return old; end if;
  raise exception 'audit entry % is not sealed', old.entry using errcode = 'insufficient_privilege';
end $$;

-- The role that the hub serves with has no right to change a table with the trigger insert_only either: see store/roles.ts.
create trigger audit_wait after insert on audit_entry for each row execute function audit_wait();
create trigger insert_only before update or delete or truncate on audit_entry execute function audit_refuse();
create trigger insert_only before update or delete or truncate on audit_seal execute function audit_refuse();
create trigger no_change before update or truncate on audit_unsealed execute function audit_refuse();
create trigger only_sealed before delete on audit_unsealed for each row execute function audit_only_sealed();
-- Also where session_replication_role would leave triggers out.
alter table audit_entry enable always trigger audit_wait;
alter table audit_entry enable always trigger insert_only;
alter table audit_seal enable always trigger insert_only;
alter table audit_unsealed enable always trigger no_change;
alter table audit_unsealed enable always trigger only_sealed;

insert into audit_unsealed (entry) select id from audit_entry;

-- Up to where the log and the receipts have been put on record.
create table supply_bookmark (
  resource text primary key,
  epoch bigint not null,
  seq bigint not null
);

create table delivery_bookmark (
  route text primary key,
  epoch bigint not null,
  seq bigint not null,
  written bigint not null,
  deleted bigint not null
);

-- Days are those of Asia/Shanghai, by the hub's acceptance time. Rows of change batches are changed rows; a snapshot's are not.
create table supply_day (
  resource text not null,
  day date not null,
  batches bigint not null default 0,
  changed_rows bigint not null default 0,
  snapshot_rows bigint not null default 0,
  -- When the last change batch with rows was accepted.
  last_change timestamptz,
  primary key (resource, day)
);

create table delivery_day (
  route text not null,
  day date not null,
  written bigint not null default 0,
  deleted bigint not null default 0,
  primary key (route, day)
);
