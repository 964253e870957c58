-- What this hub's processes ask of agents, and the answers on their way back, which may come in at another process than the one that
-- asked. Answers are sealed to a key that only the asking process has in memory. Unlogged: nothing here outlives a crash, or a minute.
create unlogged table ask (
  id text primary key,
  agent text not null,
  -- The signed ask, as the agent gets it.
  statement text not null,
  expires_at timestamptz not null,
  answer jsonb
);

create index ask_open on ask (agent) where answer is null;
