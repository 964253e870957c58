-- The table that a registration was drafted from: [agent, database, table] as JSON; null for any other draft. One draft of each table at a time.
alter table registration add column origin text;
create unique index registration_origin on registration (agency, origin) where state in ('draft', 'submitted', 'returned');
