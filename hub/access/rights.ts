import type { Role } from '../records/roles.ts'

/**
 * How far a right goes: `any` object; those of one's `own` agency; those about data that one's agency provides, or receives; or only what
 * belongs to one's own person. What is made anew is made for one's own agency (`own`), unless the right is `any`. A list shows what is
 * within reach.
 */
export type Reach = 'any' | 'own' | 'provider' | 'receiver' | 'self'

/** `everybody`: whoever is signed in. `hub`: what happens because of the time. An operation with no line for a role is refused to it. */
type Line = Partial<Record<Role | 'everybody' | 'hub', Reach | readonly Reach[]>>

const parties = ['provider', 'receiver'] as const
const ownAgency = { registrar: 'own', reviewer: 'own', user: 'own', 'agency-it': 'own' } as const
/** Those who see every act and state of the whole process, never row values (Art. 24, 25). */
const watching = { office: 'any', supervisor: 'any' } as const
/** Both sides of a case, and those who watch. */
const bothSides = { registrar: parties, reviewer: parties, user: parties, ...watching } as const

/** The rights: who may do what (Art. 21). Workflow events have the name `<workflow>.<event>`. docs/permissions.md shows this table. */
export const rights = {
  // Oneself
  'me.read': { everybody: 'any' },
  'rights.list': { everybody: 'any' },
  'me.password': { everybody: 'any' },
  'me.factor-begin': { everybody: 'any' },
  'me.factor-confirm': { everybody: 'any' },
  'session.list': { everybody: 'self', 'security-admin': 'any' },
  'session.end': { everybody: 'self', 'security-admin': 'any' },
  'session.close': { everybody: 'any' },
  'session.close-all': { everybody: 'any' },

  // What waits for whom
  'todo.list': { everybody: 'any' },
  'todo.counts': { everybody: 'any' },
  'case.list': { ...ownAgency, ...watching },

  // People and machines
  'person.list': { 'system-admin': 'any', 'security-admin': 'any', ...watching, ...ownAgency },
  'person.read': { 'system-admin': 'any', 'security-admin': 'any', ...watching, ...ownAgency },
  'person.create': { 'system-admin': 'any' },
  'person.change': { 'system-admin': 'any' },
  'person.invite': { 'system-admin': 'any' },
  'person.disable': { 'system-admin': 'any' },
  'person.enable': { 'system-admin': 'any' },
  'person.import': { 'system-admin': 'any' },
  'person.import-roles': { 'security-admin': 'any' },
  'person.import-template': { 'system-admin': 'any', 'security-admin': 'any' },
  'person.roles': { 'security-admin': 'any' },
  'person.unlock': { 'security-admin': 'any' },
  'person.reset-factor': { 'security-admin': 'any' },
  'person.sign-out': { 'security-admin': 'any' },
  // Until there is a security administrator, and only for the separate administrators.
  'person.found': { 'system-admin': 'any' },
  'key.list': { 'security-admin': 'any', 'agency-it': 'own' },
  'key.create': { 'security-admin': 'any' },
  'key.end': { 'security-admin': 'any', 'agency-it': 'own' },

  // Agencies
  'agency.list': { everybody: 'any' },
  'agency.read': { everybody: 'any' },
  'agency.create': { office: 'any', 'system-admin': 'any' },
  'agency.change': { office: 'any', 'system-admin': 'any' },
  'agency.import': { office: 'any', 'system-admin': 'any' },
  'agency.import-template': { office: 'any', 'system-admin': 'any' },
  'agency.responsible': { office: 'any', reviewer: 'own' },
  'agency.set-rules': { office: 'any', reviewer: 'own' },
  'agency.read-rules': { ...ownAgency, ...watching },
  // It gives roles.
  'agency.handover': { 'security-admin': 'any', reviewer: 'own' },

  // Catalog (Art. 5, 6, 9-13)
  // Over the lists that one may read.
  'search.all': { everybody: 'any' },
  'catalog.search': { everybody: 'any' },
  'catalog.suggest': { everybody: 'any' },
  'catalog.export': { everybody: 'any' },
  'catalog.template': { registrar: 'any' },
  'catalog.import': { registrar: 'own' },
  'catalog.dcat': { everybody: 'any' },
  'classification.list': { everybody: 'any' },
  'classification.add': { office: 'any' },
  'resource.list': { ...ownAgency, secrecy: 'any', ...watching },
  'resource.read': { everybody: 'any' },
  'resource.versions': { everybody: 'any' },
  'resource.diff': { everybody: 'any' },
  'resource.withdraw': { reviewer: 'provider' },
  'resource.stop': { secrecy: 'any' },
  'resource.release': { secrecy: 'any' },
  'resource.keep': { reviewer: 'provider' },
  'registration.list': { registrar: 'own', reviewer: 'own', ...watching },
  'registration.read': { registrar: 'own', reviewer: 'own', ...watching },
  'registration.create': { registrar: 'own' },
  'registration.change': { registrar: 'own' },
  'registration.check': { registrar: 'own', reviewer: 'own' },
  'registration.submit': { registrar: 'own' },
  'registration.recall': { registrar: 'own' },
  'registration.return': { reviewer: 'own' },
  'registration.publish': { reviewer: 'own' },
  'registration.discard': { registrar: 'own' },
  'table.list': { registrar: 'own', 'agency-it': 'own' },
  'table.propose': { registrar: 'own', 'agency-it': 'own' },
  'standard.list': { everybody: 'any' },
  'standard.read': { everybody: 'any' },
  'standard.create': { office: 'any' },
  'standard.change': { office: 'any' },
  'standard.publish': { office: 'any' },
  'standard.withdraw': { office: 'any' },
  'standard.adopt': { registrar: 'any' },

  // Applications and grants (Art. 7, 16)
  'application.list': bothSides,
  'application.read': bothSides,
  // With people's telephones, and what others use the data for.
  'application.dossier': { office: 'any' },
  'application.create': { user: 'own' },
  'application.create-many': { user: 'own' },
  'application.change': { user: 'receiver' },
  'application.submit': { user: 'receiver' },
  'application.withdraw': { user: 'receiver' },
  'application.consent': { reviewer: 'provider' },
  'application.object': { reviewer: 'provider' },
  'application.preview': { office: 'any', reviewer: 'provider' },
  'application.approve': { office: 'any' },
  'application.reject': { office: 'any' },
  'application.return': { office: 'any' },
  'application.extend': { office: 'any' },
  'application.ask': { hub: 'any' },
  'application.proceed': { hub: 'any' },
  'application.decide-many': { office: 'any' },
  'grant.list': { ...bothSides, 'agency-it': parties },
  'grant.read': { ...bothSides, 'agency-it': parties },
  'grant.suspend': { office: 'any' },
  'grant.resume': { office: 'any' },
  'grant.revoke': { office: 'any' },
  'grant.give-up': { user: 'receiver' },
  'grant.accept': { user: 'receiver' },
  'grant.hold': { hub: 'any' },
  'grant.expire': { hub: 'any' },
  'grant.reinstate': { office: 'any' },
  'grant.explain': { ...bothSides, 'agency-it': parties },

  // Query (Art. 16): within the grants of one's agency; supervisors see the acts, never rows
  'query.list': { user: 'own' },
  'query.purpose': { user: 'own' },
  'query.run': { user: 'own' },
  'query.row': { user: 'own' },
  'query.proof': { user: 'own' },
  'query.export': { user: 'own' },
  'query.check': { user: 'own' },
  'query.standard-purpose': { user: 'own' },
  'query.standard-run': { user: 'own' },
  'query.standard-row': { user: 'own' },
  'query.standard-proof': { user: 'own' },
  'query.standard-export': { user: 'own' },
  'query.standard-check': { user: 'own' },

  // Online forms (Art. 15): the rows of one's own agency's resources
  'form.read': { registrar: 'provider', reviewer: 'provider' },
  'row.list': { registrar: 'provider', reviewer: 'provider' },
  'row.history': { registrar: 'provider', reviewer: 'provider' },
  'row.create': { registrar: 'provider' },
  'row.change': { registrar: 'provider' },
  'row.delete': { registrar: 'provider' },
  'row.draft-list': { registrar: 'provider' },
  'row.draft-save': { registrar: 'provider' },
  'row.draft-discard': { registrar: 'provider' },
  'supply.batches': { registrar: 'provider', reviewer: 'provider' },

  // Excel supply (Art. 15), and long work: one's own, and of one's agency for who looks after it
  'excel.template': { registrar: 'provider', reviewer: 'provider' },
  'excel.check': { registrar: 'provider' },
  'excel.marked': { registrar: 'provider' },
  'excel.import': { registrar: 'provider' },
  'job.list': { everybody: 'self', reviewer: 'own', 'agency-it': 'own' },
  'job.read': { everybody: 'self', reviewer: 'own', 'agency-it': 'own' },
  'job.cancel': { everybody: 'self', reviewer: 'own', 'agency-it': 'own' },

  // API (Art. 16): credentials of programs, one grant each
  'credential.list': { user: 'receiver', 'agency-it': 'receiver', reviewer: 'provider', ...watching },
  'credential.create': { user: 'receiver', 'agency-it': 'receiver' },
  'credential.rotate': { user: 'receiver', 'agency-it': 'receiver' },
  'credential.end': { user: 'receiver', 'agency-it': 'receiver', office: 'any' },
  'credential.usage': { user: 'receiver', 'agency-it': 'receiver', reviewer: 'provider', ...watching },
  'webhook.list': { user: 'receiver', 'agency-it': 'receiver', reviewer: 'provider', ...watching },
  'webhook.create': { user: 'receiver', 'agency-it': 'receiver' },
  'webhook.change': { user: 'receiver', 'agency-it': 'receiver' },
  'webhook.end': { user: 'receiver', 'agency-it': 'receiver', office: 'any' },
  'webhook.replay': { user: 'receiver', 'agency-it': 'receiver', office: 'any' },
  'grant.limits': { office: 'any' },
  'grant.masks': { user: 'receiver', 'agency-it': 'receiver', registrar: 'provider', reviewer: 'provider', ...watching },
  'grant.mask': { office: 'any', reviewer: 'provider' },

  // Reconciliation of routes; keys are shown to both sides and the office alone
  'reconciliation.list': { ...bothSides, 'agency-it': parties },
  'reconciliation.read': { ...bothSides, 'agency-it': parties },
  'route.reconcile': { office: 'any', registrar: parties, reviewer: parties, user: parties, 'agency-it': parties },

  // Lines: sources and routes, where they stand, what they moved
  'line.list': { ...bothSides, 'agency-it': parties },
  'flow.list': { ...bothSides, 'agency-it': parties },
  // All that a wall screen shows, and its key may read.
  'wall.read': { display: 'any', ...watching },
  'statistics.supply': { ...ownAgency, ...watching },
  'statistics.delivery': { ...ownAgency, ...watching },
  'statistics.applications': { ...ownAgency, ...watching },
  'statistics.duties': { registrar: 'own', reviewer: 'own', ...watching },

  // Front-end machines (Art. 15)
  'machine.list': { 'agency-it': 'own', ...watching },
  'machine.read': { 'agency-it': 'own', ...watching },
  'machine.apply': { 'agency-it': 'own' },
  'machine.withdraw': { 'agency-it': 'own' },
  'machine.approve': { office: 'any' },
  'machine.reject': { office: 'any' },
  'machine.token': { 'agency-it': 'own' },
  // An agent enrols with the token.
  'machine.enrol': { hub: 'any' },
  'machine.enrolment-files': { office: 'any' },
  // Registrars and users see which machines there are, not how they run.
  'agent.list': { 'agency-it': 'own', registrar: 'own', user: 'own', ...watching },
  'agent.read': { 'agency-it': 'own', ...watching },
  'agent.revoke': { office: 'any' },
  // What the agent finds and does at the hub's request.
  'agent.doctor': { 'agency-it': 'own', office: 'any' },
  'agent.log': { 'agency-it': 'own', office: 'any' },
  'agent.pause': { 'agency-it': 'own', office: 'any' },
  'agent.resume': { 'agency-it': 'own', office: 'any' },
  'agent.confirm': { 'agency-it': 'own' },

  // Demands outside the catalog (Art. 8, 16) and publishing another agency's data (Art. 5, 17)
  'demand.list': bothSides,
  'demand.read': bothSides,
  'demand.create': { user: 'own' },
  'demand.assign': { office: 'any' },
  'demand.note': { registrar: parties, reviewer: parties, user: parties, office: 'any' },
  'demand.agree': { reviewer: 'provider' },
  'demand.refuse': { reviewer: 'provider', office: 'any' },
  'demand.fulfil': { office: 'any', registrar: 'provider', reviewer: 'provider' },
  'demand.withdraw': { user: 'receiver' },
  'publication.list': bothSides,
  'publication.read': bothSides,
  'publication.create': { user: 'own' },
  'publication.consent': { reviewer: 'provider' },
  'publication.refuse': { reviewer: 'provider' },
  'publication.withdraw': { user: 'receiver' },
  'publication.end': { reviewer: 'provider' },
  'publication.expire': { hub: 'any' },
  'publication.lapse': { hub: 'any' },
  'opening.list': { registrar: 'provider', reviewer: 'provider', ...watching },
  'opening.read': { registrar: 'provider', reviewer: 'provider', ...watching },
  'opening.propose': { reviewer: 'own' },
  'opening.release': { office: 'any' },
  'opening.return': { office: 'any' },
  'opening.withdraw': { reviewer: 'provider', office: 'any' },
  'opening.supersede': { hub: 'any' },
  'opening.lapse': { hub: 'any' },
  'opening.usage': { registrar: 'provider', reviewer: 'provider', ...watching },

  // Corrections, declarations, orders (Art. 14, 18, 20, 27)
  'correction.list': bothSides,
  'correction.read': bothSides,
  'correction.create': { user: 'own' },
  'correction.pass': { office: 'any' },
  'correction.dismiss': { office: 'any' },
  'correction.answer': { registrar: 'provider', reviewer: 'provider' },
  'correction.close': { office: 'any' },
  'correction.reopen': { user: 'receiver' },
  'correction.withdraw': { user: 'receiver' },
  // What a receiver's agent reported is over.
  'correction.settle': { hub: 'any' },
  'declaration.list': { registrar: 'own', reviewer: 'own', government: 'any', ...watching },
  'declaration.read': { registrar: 'own', reviewer: 'own', government: 'any', ...watching },
  'declaration.evidence': { registrar: 'own', reviewer: 'own' },
  'declaration.create': { registrar: 'own' },
  'declaration.withdraw': { registrar: 'own' },
  'declaration.return': { reviewer: 'own' },
  'declaration.sign': { reviewer: 'own' },
  'declaration.acknowledge': { office: 'any' },
  'declaration.delegate': { government: 'any' },
  'declaration.escalate': { government: 'any', office: 'any' },
  'declaration.settle': { government: 'any', office: 'any' },
  'order.list': { registrar: 'own', reviewer: 'own', secrecy: 'any', ...watching },
  'order.read': { registrar: 'own', reviewer: 'own', secrecy: 'any', ...watching },
  'order.issue': { office: 'any', supervisor: 'any', secrecy: 'any' },
  'order.answer': { reviewer: 'own' },
  'order.reject-answer': { office: 'any', supervisor: 'any', secrecy: 'any' },
  'order.close': { office: 'any', supervisor: 'any', secrecy: 'any' },
  'order.transfer': { office: 'any', secrecy: 'any' },
  'order.conclude': { supervisor: 'any' },

  // Supervision (Art. 14, 24, 25)
  'duty.list': { registrar: 'own', reviewer: 'own', ...watching },
  'duty.board': { registrar: 'own', reviewer: 'own', ...watching },
  'deadline.list': { ...ownAgency, government: 'any', ...watching },
  'calendar.list': { everybody: 'any' },
  'calendar.put': { office: 'any' },
  'notice.list': { everybody: 'any' },
  'notice.read': { everybody: 'any' },
  // A published one is every agency's own.
  'evaluation.list': { everybody: 'own', ...watching },
  'evaluation.read': { everybody: 'own', ...watching },
  'evaluation.draw-up': { office: 'any' },
  'evaluation.advise': { office: 'any' },
  'evaluation.freeze': { office: 'any' },
  'evaluation.publish': { office: 'any' },
  'evaluation.export': { everybody: 'own', ...watching },
  'audit.list': { 'audit-admin': 'any', supervisor: 'any' },
  'audit.export': { 'audit-admin': 'any', supervisor: 'any' },
  // Of what one may read.
  'audit.verify': { 'audit-admin': 'any', supervisor: 'any' },
  'audit.verification': { 'audit-admin': 'any', supervisor: 'any' },
  'history.read': { everybody: 'any' },
  'chain.read': { everybody: 'any' },
  'clock.read': { ...watching, 'system-admin': 'any' },
  'clock.confirm': { office: 'any' },
  // Each the part that is theirs to know.
  'settings.read': { office: 'any', supervisor: 'any', 'system-admin': 'any', 'security-admin': 'any', 'audit-admin': 'any' },
  'health.read': { ...watching, 'system-admin': 'any' },
  'feed.read': { supervisor: 'any' },
} as const satisfies Record<string, Line>

export type OperationName = keyof typeof rights

/** What a person answers for: a machine's key supplies, asks and reads, and has none of these rights, whatever its role. */
export const personal: ReadonlySet<OperationName> = new Set<OperationName>([
  'registration.submit',
  'row.create',
  'row.change',
  'row.delete',
  'row.draft-list',
  'row.draft-save',
  'row.draft-discard',
  'excel.check',
  'excel.marked',
  'excel.import',
  'audit.verify',
  'credential.create',
  'credential.rotate',
  'webhook.create',
  'webhook.change',
  'grant.give-up',
  'grant.accept',
  'demand.fulfil',
  'opening.propose',
  'correction.answer',
  'declaration.create',
  'declaration.withdraw',
  'order.issue',
  'order.reject-answer',
  'order.close',
  'order.conclude',
])
