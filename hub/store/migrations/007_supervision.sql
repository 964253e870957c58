-- Supervision: notices and their e-mail, deadlines, update duties, evaluations. Days are those of Asia/Shanghai.

create table notice (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  -- Either one person, or everybody with a role, in an agency or wherever they are.
  person bigint,
  agency text,
  role text,
  kind text not null,
  object text not null,
  zh text not null,
  en text not null,
  -- Null until it is known to whom it goes by e-mail.
  addressed_at timestamptz,
  check ((person is null) <> (role is null) and (agency is null or role is not null))
);
create index notice_person on notice (person, id) where person is not null;
create index notice_role on notice (role, agency, id) where role is not null;
create index notice_unaddressed on notice (id) where addressed_at is null;

create table notice_read (
  notice bigint not null references notice,
  person bigint not null,
  at timestamptz not null,
  primary key (notice, person)
);

create table mail (
  notice bigint not null references notice,
  person bigint not null,
  address text not null,
  state text not null default 'waiting' check (state in ('waiting', 'sent', 'refused')),
  attempts int not null default 0,
  next_at timestamptz not null,
  sent_at timestamptz,
  error text,
  primary key (notice, person)
);
create index mail_waiting on mail (next_at) where state = 'waiting';

create table deadline (
  id bigint generated always as identity primary key,
  kind text not null,
  object text not null,
  -- Who must act.
  agency text not null references agency,
  role text not null,
  started_at timestamptz not null,
  -- Length in working days with what it was extended by; null where the date was given.
  days int,
  extended int not null default 0,
  -- The last day on which it is met.
  due date not null,
  -- The due day of which a warning was given.
  warned_for date,
  warned_at timestamptz,
  missed_at timestamptz,
  ended_at timestamptz,
  outcome text check (outcome in ('met', 'missed', 'dropped')),
  check ((ended_at is null) = (outcome is null))
);
create unique index deadline_open on deadline (kind, object) where ended_at is null;
create index deadline_agency on deadline (agency, due);
create index deadline_due on deadline (due);

-- What became of an update duty, written once.
create table duty_mark (
  resource text not null references resource,
  -- 2026-11-22, 2026-W47, 2026-11, 2026-Q4
  period text not null,
  mark text not null check (mark in ('warned', 'updated', 'explained', 'overdue', 'excused')),
  agency text not null references agency,
  -- Last day of the period.
  ends date not null,
  at timestamptz not null,
  -- The declaration with which an agency explained the period.
  declaration text,
  primary key (resource, period, mark)
);
create index duty_mark_agency on duty_mark (agency, ends);
create index duty_mark_ends on duty_mark (ends);

create function written_once() returns trigger language plpgsql as $$
begin
  raise exception '% is written once: % refused', tg_table_name, tg_op using errcode = 'insufficient_privilege';
end $$;
create trigger written_once before update or delete or truncate on duty_mark execute function written_once();

-- Evaluation of the agencies (Art. 24). What is frozen never changes.
create table evaluation (
  id bigint generated always as identity primary key,
  -- 2026-Q4 or 2026
  period text not null unique,
  starts date not null,
  ends date not null,
  state text not null default 'draft' check (state in ('draft', 'frozen', 'published')),
  weights jsonb not null,
  drawn_at timestamptz not null,
  drawn_by text not null,
  frozen_at timestamptz,
  frozen_by text,
  published_at timestamptz,
  published_by text
);

create table evaluation_line (
  evaluation bigint not null references evaluation,
  agency text not null,
  agency_name text not null,
  figures jsonb not null,
  -- Of quantity, timeliness and use, 0 to 100, null where there is nothing to judge; and of all by the weights.
  scores jsonb not null,
  score numeric(5, 1),
  primary key (evaluation, agency)
);

create table evaluation_advice (
  evaluation bigint not null references evaluation,
  agency text not null,
  advice text not null,
  written_by text not null,
  written_at timestamptz not null,
  primary key (evaluation, agency)
);

create function evaluation_frozen() returns trigger language plpgsql as $$
begin
  raise exception 'a frozen evaluation never changes: % of %', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;

create function evaluation_line_frozen() returns trigger language plpgsql as $$
begin
  if exists (select from evaluation where state <> 'draft'
    and (tg_op <> 'INSERT' and id = old.evaluation or tg_op <> 'DELETE' and id = new.evaluation)) then
    raise exception 'a frozen evaluation never changes: % of %', tg_op, tg_table_name using errcode = 'insufficient_privilege';
  end if;
  return coalesce(new, old);
end $$;

create trigger frozen before update on evaluation for each row
  when (old.state <> 'draft' and (new.state = 'draft' or old.state = 'published'
    or (new.period, new.starts, new.ends, new.weights, new.drawn_at, new.drawn_by, new.frozen_at, new.frozen_by)
      is distinct from (old.period, old.starts, old.ends, old.weights, old.drawn_at, old.drawn_by, old.frozen_at, old.frozen_by)))
  execute function evaluation_frozen();
create trigger frozen_delete before delete on evaluation for each row when (old.state <> 'draft') execute function evaluation_frozen();
create trigger frozen before insert or update or delete on evaluation_line for each row execute function evaluation_line_frozen();
create trigger frozen_truncate before truncate on evaluation_line execute function evaluation_frozen();
