import type { onSendHookHandler } from 'fastify'

/** What answers that are no pages are given: nothing in them is to be run, shown inside another page, or taken for another type. */
const policy = `default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  // Of this host alone: what else its domain has may speak HTTP.
  'strict-transport-security': 'max-age=31536000',
} as const

/** On every answer. A page has a content policy of its own, and open data is for other sites, too. */
export const secureAnswer: onSendHookHandler = (_request, reply, _payload, done) => {
  for (const [name, value] of Object.entries(headers)) if (!reply.hasHeader(name)) void reply.header(name, value)
  done()
}
