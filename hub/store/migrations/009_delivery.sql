-- What becomes of delivered data when a grant ends, and the receivers' word that it is gone.

alter table access_grant add column at_end text not null default 'keep' check (at_end in ('keep', 'remove'));

-- What the receiver's removal receipt says: {"rows": …, "tables": […], "time": …, "receipt": JWS}. Null again once it applies anew.
alter table route add column removed jsonb;

-- Resources of one standard share one delivered table.
alter table resource add column if not exists standard text;
