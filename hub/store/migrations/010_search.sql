-- What the catalog's search looks through: derived from the published versions by hub/registry/search.ts, which makes the tokens
-- (single and double Chinese characters, beginnings of words), since PostgreSQL without extensions cannot cut Chinese into words.

create table catalog_index (
  resource text collate "C" primary key,
  -- The official code, as people write it.
  catalog_code text,
  title text collate "C" not null,
  agency text not null,
  agency_name text not null,
  -- Filters. Classifications are codes whose beginnings are the classes above.
  classification text collate "C" not null default '',
  openness text not null,
  standard text,
  -- [[label, name, id], …]: which items matched is worked out for the page that is shown.
  items jsonb not null,
  -- For the order.
  title_text text not null,
  -- Normalised texts for the check of whole phrases, each level without the one before it, in UTF-8: a search among bytes takes a third
  -- of the time of one among characters.
  head_text bytea not null,
  item_text bytea not null,
  rest_text bytea not null,
  -- Tokens, each level with those before it: code, title and agency; items and keywords; abstract.
  head_tokens text[] not null,
  item_tokens text[] not null,
  tokens text[] not null
);

-- Searches wait for no pending list; publications, which are few, take the time.
create index catalog_index_head on catalog_index using gin (head_tokens) with (fastupdate = off);
create index catalog_index_items on catalog_index using gin (item_tokens) with (fastupdate = off);
create index catalog_index_tokens on catalog_index using gin (tokens) with (fastupdate = off);
create index catalog_index_title on catalog_index (title, resource);
create index catalog_index_classification on catalog_index (classification, title, resource);
create index catalog_index_agency on catalog_index (agency, title, resource);

-- Without statistics a token counts as rare, so that the planner always takes the GIN index: reading the arrays themselves of every
-- resource, as it would for a word that half of them hold, takes a hundred times longer than it believes.
alter table catalog_index
  alter column head_tokens set statistics 0,
  alter column item_tokens set statistics 0,
  alter column tokens set statistics 0;

-- Texts are read for every candidate and stay in the row; arrays are never read and move out of it.
alter table catalog_index
  alter column title_text set storage main,
  alter column head_text set storage main,
  alter column item_text set storage main,
  alter column rest_text set storage main;
