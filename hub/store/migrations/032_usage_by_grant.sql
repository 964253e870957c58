-- A client reads by several grants where it reads a data standard: its use is told by grant.
alter table api_usage_minute add column access_grant text references access_grant;
update api_usage_minute u set access_grant = c.access_grant from api_client c where c.id = u.client;
alter table api_usage_minute alter column access_grant set not null, drop constraint api_usage_minute_pkey,
  add primary key (client, access_grant, minute, kind);
