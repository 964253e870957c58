-- Masks that are decided with a consent (the provider's) and with an approval (the office's): the grant has them from its first row on.
alter table application add column masks jsonb not null default '{}';
alter table application_consent add column masks jsonb not null default '{}';
