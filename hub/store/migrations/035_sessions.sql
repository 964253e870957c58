-- A session is named by a number: its key is the hash of its secret. With the browser that it was opened in, as that calls itself.
alter table session add column id bigint generated always as identity unique, add column browser text;
