-- Files that a folder refused and of which its agency was told: by the random id that the agent gave each, so once.
create table refused_file (
  agency text not null references agency,
  id text not null,
  told_at timestamptz not null,
  primary key (agency, id)
);
