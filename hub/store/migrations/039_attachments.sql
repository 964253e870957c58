-- Attachments of cases: part of the record, so they are neither changed nor removed.
create table attachment (
  id bigint generated always as identity primary key,
  kind text not null,
  object text not null,
  name text not null,
  type text not null,
  content bytea not null,
  sha256 text not null,
  put_by text not null,
  put_by_name text not null,
  agency text references agency,
  put_at timestamptz not null
);
create index attachment_object on attachment (kind, object, id);
alter table attachment alter column content set storage external;

create function attachment_kept() returns trigger language plpgsql as $$
begin
  raise exception 'attachments are kept: % of %', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger kept before update or delete or truncate on attachment execute function attachment_kept();
