-- Masking as part of a grant: {"provider": {item: mask}, "office": {item: mask}}; what the provider masks the office cannot show.
alter table access_grant add column masks jsonb not null default '{"provider": {}, "office": {}}';
