-- What agents report of their lines, and what was told of it.

-- An agent's own report (Art. 18): `<route> <code> <item>`; `over` when its table refuses nothing of that any more.
alter table correction add column origin text, add column over boolean not null default false;
create unique index correction_origin on correction (origin) where not over;

-- A line that is held: told once, and once when it is over.
create table agent_fault (
  agent text not null references agent,
  -- `source <resource>` or `sink <route>`
  line text not null,
  code text not null,
  since timestamptz not null,
  told_at timestamptz,
  -- When it was first not reported any more; it may come again.
  gone_at timestamptz,
  primary key (agent, line, code)
);

-- Columns of a source table that supply no item, as they were last reported: only what is added later is told.
create table agent_columns (
  agent text not null references agent,
  resource text not null,
  columns text[] not null,
  primary key (agent, resource)
);
