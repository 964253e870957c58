import { encodeDelivery, type DeliveryHeader } from '../../protocol/api.ts'
import type { Policy } from '../../protocol/policy.ts'
import { sha256, signStatement, type StatementType } from '../../protocol/signature.ts'
import { jws } from './container.ts'
import type { Keys } from './make.ts'

const hash = 'ab'.repeat(32)
const at = { epoch: 3622110, seq: 7, hash, time: '2026-11-22T08:30:00.000Z' }

const policy: Policy = {
  v: 1,
  agent: 'agent-b',
  agency: 'b',
  serial: 1795336200000,
  issued: '2026-11-22T08:30:00.000Z',
  expires: '2026-11-29T08:30:00.000Z',
  supply: [],
  receive: [
    {
      route: 'r1',
      grant: 'g1',
      schema: {
        resource: 'licence',
        version: 1,
        title: '行政许可',
        agency: 'a',
        table: 'licence',
        items: [{ id: 'code', name: 'code', label: '许可证号', type: 'text', length: 40, key: true, openness: 'internal' }],
      },
      items: ['code'],
      keys: [{ key: 'A'.repeat(43), from: 3622110 }],
    },
  ],
}

const applied = { batches: 3, written: 300, deleted: 2, quarantined: 1, quarantine: 1 }

/** Statements that are signed rightly, then statements that no key of the vectors may be found to have signed. */
export function statementVectors(keys: Keys) {
  const good = (name: string, typ: StatementType, key: keyof Keys, payload: object) => {
    const text = signStatement(keys[key], typ, payload)
    return { name, typ, key, payload, jws: text, sha256: sha256(text) }
  }
  return {
    accepted: [
      good('stored receipt', 'qz-receipt', 'hub', { resource: 'licence', producer: 'agent-a', ...at }),
      good('applied receipt', 'qz-receipt', 'receiver', { route: 'r1', ...at, ...applied }),
      good('head', 'qz-head', 'provider', { resource: 'licence', producer: 'agent-a', ...at }),
      good('policy', 'qz-policy', 'hub', policy),
    ],
    refused: refusedStatements(keys),
  }
}

function refusedStatements({ provider, other }: Keys) {
  const header = { alg: 'EdDSA', kid: provider.id, typ: 'qz-head' }
  const payload = { resource: 'licence', producer: 'agent-a', ...at }
  const right = jws(header, payload, provider)
  const [head, , signature] = right.split('.')
  const changed = Buffer.from(JSON.stringify({ ...payload, seq: 8 })).toString('base64url')
  const refused = (name: string, text: string) => ({ name, typ: 'qz-head', key: 'provider', jws: text })
  return [
    refused('changed payload', `${head}.${changed}.${signature}`),
    refused('another typ', jws({ ...header, typ: 'qz-receipt' }, payload, provider)),
    refused('alg none', jws({ ...header, alg: 'none' }, payload, provider)),
    refused('alg HS256', jws({ ...header, alg: 'HS256' }, payload, provider)),
    refused('a critical header', jws({ ...header, crit: ['b64'], b64: false }, payload, provider)),
    refused('another key', jws(header, payload, other)),
    refused('another key that names itself', jws({ ...header, kid: other.id }, payload, other)),
    refused('names a key that did not sign', jws({ ...header, kid: other.id }, payload, provider)),
    refused('no key id', jws({ alg: 'EdDSA', typ: 'qz-head' }, payload, provider)),
    refused('padded signature', `${right}==`),
    refused('signature with other unused bits', right.slice(0, -1) + sibling(right.at(-1)!)),
    refused('shortened signature', right.slice(0, -4)),
    refused('no signature', `${right.slice(0, right.lastIndexOf('.'))}.`),
    refused('four parts', `${right}.AAAA`),
    refused('two parts', right.slice(0, right.lastIndexOf('.'))),
    refused('empty', ''),
  ]
}

/** A base64url character with the same high two bits: it decodes to the same last byte. */
function sibling(last: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet[alphabet.indexOf(last) ^ 1]!
}

export function deliveryVectors() {
  const header: DeliveryHeader = {
    time: '2026-11-22T08:30:00.000Z',
    snapshots: [{ resource: 'licence', after: { epoch: 3622110, seq: 7 } }],
    routes: [{ route: 'r2', code: 'QZ-ROUTE-ENDED', details: { route: 'r2', reason: '授权已撤销' } }],
    batches: [
      { route: 'r1', length: 3 },
      { route: 'r3', length: 0 },
      { route: 'r1', length: 2 },
    ],
  }
  const parts = ['abc', '', 'de']
  const right = encodeDelivery(
    header,
    parts.map((part) => Buffer.from(part)),
  )
  return {
    accepted: [{ name: 'three batches', container: right.toString('base64'), header, batches: parts }],
    refused: refusedDeliveries(right, header),
  }
}

function refusedDeliveries(right: Buffer, header: DeliveryHeader) {
  const start = 8 + right.readUInt32BE(4)
  const withHeader = (text: string): Buffer => {
    const json = Buffer.from(text)
    const head = Buffer.from('QZD1\0\0\0\0')
    head.writeUInt32BE(json.length, 4)
    return Buffer.concat([head, json, Buffer.from('abcde')])
  }
  const lengths = (...values: unknown[]) => JSON.stringify({ ...header, batches: values.map((length) => ({ route: 'r1', length })) })
  return Object.entries({
    nothing: Buffer.alloc(0),
    'another magic': Buffer.concat([Buffer.from('QZB1'), right.subarray(4)]),
    'cut off in the length': right.subarray(0, 6),
    'cut off in the header': right.subarray(0, start - 1),
    'cut off in a batch': right.subarray(0, right.length - 1),
    'cut off after the header': right.subarray(0, start),
    'goes on after the last batch': Buffer.concat([right, Buffer.from('x')]),
    'no JSON': withHeader('{"time":'),
    'null for a header': withHeader('null'),
    'an array for a header': withHeader('[]'),
    'no batches': withHeader('{"time":"2026-11-22T08:30:00Z","snapshots":[],"routes":[]}'),
    'a length under zero': withHeader(lengths(-1, 6)),
    'a length that is text': withHeader(lengths('5')),
    'a length that is not whole': withHeader(lengths(2.5, 2.5)),
  }).map(([name, bytes]) => ({ name, code: 'QZ-BATCH-FORMAT', container: bytes.toString('base64') }))
}
