-- Work that outlasts a request. One hub at a time does it: the one that holds its advisory lock.

-- What was uploaded for it, where every hub on this store reaches it.
create table job_file (
  id bigint generated always as identity primary key,
  name text not null,
  size bigint not null,
  sha256 text not null,
  at timestamptz not null
);
create table job_file_part (
  file bigint not null references job_file on delete cascade,
  no int not null,
  bytes bytea not null,
  primary key (file, no)
);

create table job (
  id bigint generated always as identity primary key,
  kind text not null,
  state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
  -- Code of the resource that it is about.
  object text not null references resource,
  agency text not null references agency,
  person bigint references person,
  -- As the audit says who acted: actor, agency, via, ip.
  by jsonb not null,
  request jsonb not null,
  -- Who asks the same again is given this job; null where it does not stand for that any more.
  same text,
  file bigint references job_file on delete set null,
  -- What it is doing, how much of it is done, and how much there is, where that is known.
  step text,
  done bigint not null default 0,
  total bigint,
  result jsonb,
  problem jsonb,
  -- How often it was begun, all times on which the hub was stopped in order left out.
  attempts int not null default 0,
  stopping boolean not null default false,
  created timestamptz not null,
  begun timestamptz,
  ended timestamptz
);
create unique index job_same on job (kind, same) where state in ('queued', 'running', 'done');
create index job_open on job (id) where state in ('queued', 'running');
create index job_person on job (person, id);
create index job_agency on job (agency, id);
create index job_object on job (object);
create index job_file_of on job (file);
create index job_ended on job (ended);
-- Imports of one resource come one after the other.
create unique index job_import on job (object) where kind = 'excel.import' and state in ('queued', 'running');

-- What brought the rows of an entry: the import, which is forgotten after a while, and the file, whose name and hash are not.
alter table supply_entry add job bigint, add file text, add file_sha256 text;
create index supply_entry_job on supply_entry (job) where job is not null;
create index supply_entry_resource on supply_entry (resource, id);
