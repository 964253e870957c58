-- The newest morning line of each agent.
create table agent_morning (
  agent text primary key references agent,
  -- Of the agent's own time zone.
  day date not null,
  received_at timestamptz not null,
  line jsonb not null
);
