-- Its machine is told since when it is revoked, and by what other one it was replaced.
alter table agent add column revoked_at timestamptz;
alter table agent add column replaced_by text references agent;
update agent set
  revoked_at = (select max(at) from audit_entry where act in ('agent.revoke', 'agent.replace') and object = agent.id),
  replaced_by = (select b.id from audit_entry e join agent b on b.id = e.details ->> 'by'
    where e.act = 'agent.replace' and e.object = agent.id order by e.id desc limit 1)
where state = 'revoked';
create index agent_revoked on agent (agency) where state = 'revoked';
