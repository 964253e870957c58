-- The catalog (Art. 5, 6, 9-13): what a resource says of itself, its published versions, registrations on their way, standards.

-- Classes of the national catalog guide: class (1 digit), item (2), sub-item (3), detail (up to 6 more). The office may add.
create table classification (
  code text primary key check (code ~ '^[1-9]([0-9]{2}([0-9]{3}([0-9]{1,6})?)?)?$'),
  parent text references classification,
  zh text not null,
  en text not null,
  -- Of the resources registered under it: never given twice.
  last_sequence int not null default 0
);

-- A data standard 数据标准: a form that the office publishes and agencies adopt.
create table standard (
  code text primary key,
  state text not null default 'draft' check (state in ('draft', 'published', 'withdrawn')),
  -- Of the published form; 0 before.
  version int not null default 0,
  form jsonb,
  -- What is being drafted; null where nothing is.
  draft jsonb,
  published_at timestamptz,
  created_at timestamptz not null default now()
);

create table standard_version (
  standard text not null references standard,
  version int not null,
  form jsonb not null,
  published_by text not null,
  published_at timestamptz not null,
  primary key (standard, version)
);

alter table resource
  add column title text not null default '',
  add column classification text references classification,
  -- Number within the classification: the last part of the official code.
  add column sequence int,
  add column abstract text not null default '',
  add column format text not null default 'database' check (format in ('database', 'spreadsheet', 'document', 'image', 'media', 'own')),
  add column sharing text not null default 'unconditional' check (sharing in ('unconditional', 'conditional', 'none')),
  add column sharing_conditions text,
  add column share_modes text[] not null default '{query,api,exchange}',
  -- Conditions of opening to the public; null: none.
  add column open_with_conditions text,
  add column cycle text not null default 'quarterly' check (cycle in ('realtime', 'daily', 'weekly', 'monthly', 'quarterly')),
  add column supply_mode text not null default 'front-end' check (supply_mode in ('front-end', 'form', 'excel')),
  add column subject text not null default 'other'
    check (subject in ('enterprise', 'social-organisation', 'public-institution', 'person', 'other')),
  add column licence boolean not null default false,
  -- Holds what may not leave the agency: registered, not shared.
  add column secrecy boolean not null default false,
  -- Of the administrative division (GB/T 2260).
  add column region text,
  add column standard text references standard,
  add column keywords text[] not null default '{}',
  add column related text[] not null default '{}',
  -- Number of the newest catalog version; the technical version (column version) grows only where what travels changes.
  add column catalog_version int not null default 0,
  add column published_at timestamptz not null default now(),
  add column withdrawn_at timestamptz,
  add column withdrawn_because text,
  drop constraint resource_state_check,
  add constraint resource_state_check check (state in ('active', 'suspended', 'withdrawn'));
create index resource_standard on resource (standard) where standard is not null;
create index resource_agency on resource (agency);
create unique index resource_sequence on resource (classification, sequence);

update resource r set title = v.schema ->> 'title' from resource_version v where v.resource = r.code and v.version = r.version;

-- A version of the catalog entry 目录版本: everything that was published, by whom.
create table catalog_version (
  resource text not null references resource,
  number int not null,
  -- Version of the schema that was in force with it.
  version int not null,
  content jsonb not null,
  registration bigint,
  submitted_by text,
  submitted_at timestamptz,
  secrecy_review jsonb,
  published_by text not null,
  published_at timestamptz not null,
  primary key (resource, number)
);

-- A registration 登记: a catalog entry, or a change of one, on its way from the registrar to its publication.
create table registration (
  id bigint generated always as identity primary key,
  agency text not null references agency,
  -- Code of the resource, also while it does not exist yet.
  resource text not null,
  -- The catalog version that it changes; null where the resource is new.
  base int,
  state text not null default 'draft' check (state in ('draft', 'submitted', 'returned', 'published', 'discarded')),
  content jsonb not null,
  standard text references standard,
  -- The demand outside the catalog that it answers (Art. 16).
  demand bigint,
  drafted_by text not null,
  drafted_at timestamptz not null,
  submitted_by text,
  submitted_at timestamptz,
  -- What the submitter declared (Art. 27): {"reviewed": true, "by": …, "note": …}.
  secrecy_review jsonb,
  -- Why it was returned.
  reason text,
  created_at timestamptz not null
);
create unique index registration_open on registration (resource) where state in ('draft', 'submitted', 'returned');
create index registration_agency on registration (agency, id);

-- Items of resources in force, for one datum, one source (Art. 13).
create table catalog_item (
  resource text not null references resource,
  item text not null,
  -- Label without what does not tell labels apart.
  label text not null,
  role text,
  agency text not null references agency,
  subject text not null,
  primary key (resource, item)
);
create index catalog_item_label on catalog_item (label, subject);
create index catalog_item_role on catalog_item (role, subject) where role is not null;

alter table access_grant
  -- The version that the receiver must accept before data flows again; a suspended grant is held when it resumes.
  add column held_version int,
  drop constraint access_grant_state_check,
  add constraint access_grant_state_check check (state in ('active', 'suspended', 'held', 'revoked', 'expired', 'given-up'));

insert into classification (code, parent, zh, en) values
  ('1', null, '基础信息资源', 'basic information'),
  ('2', null, '主题信息资源', 'thematic information'),
  ('3', null, '部门信息资源', 'departmental information'),
  ('101', '1', '人口', 'population'),
  ('102', '1', '法人单位', 'legal entities'),
  ('103', '1', '自然资源和空间地理', 'natural resources and geography'),
  ('104', '1', '社会信用', 'social credit'),
  ('105', '1', '电子证照', 'electronic certificates'),
  ('201', '2', '公共服务', 'public services'),
  ('202', '2', '健康保障', 'health'),
  ('203', '2', '社会保障', 'social security'),
  ('204', '2', '食品药品安全', 'food and drug safety'),
  ('205', '2', '安全生产', 'work safety'),
  ('206', '2', '价格监管', 'price supervision'),
  ('207', '2', '能源安全', 'energy security'),
  ('208', '2', '信用体系', 'credit system'),
  ('209', '2', '城乡建设', 'urban and rural construction'),
  ('210', '2', '社区治理', 'community governance'),
  ('211', '2', '生态环保', 'environment'),
  ('212', '2', '应急维稳', 'emergencies'),
  ('301', '3', '镇街', 'towns and streets'),
  ('302', '3', '市直机关', 'municipal agencies'),
  ('303', '3', '中央和省属驻莞单位', 'stationed agencies');
