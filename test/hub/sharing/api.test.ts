import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { blockValues, openBatch, splitBatch } from '../../../protocol/batch.ts'
import type { Draft } from '../../../hub/registry/catalog/compatibility.ts'
import { recordUsage } from '../../../hub/sharing/usage.ts'
import type { City } from '../city.ts'
import { secondHub } from '../city.ts'
import { openDataCity, type DataCity } from './fixture.ts'

type Test = Pick<typeof t, 'teardown' | 'equal'>

async function callAs(city: City, token: string | undefined, path: string, headers: Record<string, string> = {}, body?: object) {
  const answer = await city.app.inject({
    method: body ? 'POST' : 'GET',
    url: `/data/v1${path}`,
    headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
    ...(body && { payload: body }),
  })
  const json = String(answer.headers['content-type']).includes('json') && !String(answer.headers['content-type']).includes('ndjson')
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.body,
    bytes: answer.rawPayload,
    body: json ? answer.json() : undefined,
  }
}

async function tokenOf(city: City, form: Record<string, string>, headers: Record<string, string> = {}) {
  const answer = await city.app.inject({
    method: 'POST',
    url: '/oauth2/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: new URLSearchParams({ grant_type: 'client_credentials', ...form }).toString(),
  })
  return { status: answer.statusCode, body: answer.json(), headers: answer.headers }
}

/** A program of the water agency with a secret, and its token. */
async function program(test: Test, data: DataCity, grant: string, more: object = {}) {
  const made = await data.city.as('water', 'agency-it').post(`/grants/${grant}/credentials`, { name: '防汛系统', ...more })
  test.equal(made.status, 200, made.text)
  const { id, secret } = made.body as { id: string; secret: string }
  const { body } = await tokenOf(data.city, { client_id: id, client_secret: secret })
  return { id, secret, token: body.access_token as string }
}

async function calling(test: Test, items = ['name', 'street'], change?: (draft: Draft) => void) {
  const data = await openDataCity(test, change)
  const grant = await data.grant('api', items)
  const client = await program(test, data, grant)
  const call = (path: string, headers: Record<string, string> = {}, body?: object) =>
    callAs(data.city, client.token, `/villages${path}`, headers, body)
  // What a process believes for an instant is not waited for.
  const send: DataCity['send'] = async (...sent) => {
    await data.send(...sent)
    data.city.data.views.forget(client.id)
  }
  return { ...data, send, grantId: grant, client, call }
}

void t.test('a program reads what its grant names: a page, one row, its proof, all as CSV and NDJSON', async (t) => {
  const { call, provider } = await calling(t, ['name'])
  const page = await call('?limit=3&sort=-code&count=exact')
  t.match(page, {
    status: 200,
    headers: { 'x-source': 'civil', link: /^<https:\/\/hub\.test\/data\/v1\/villages\?.*after=.*>; rel="next"$/ },
    body: { items: [{ code: '441900004002', name: null }, {}, {}], count: { rows: 4, exact: true }, source: { agencyName: '民政局' } },
  })
  const next = new URL(/<([^>]*)>/.exec(String(page.headers['link']))![1]!)
  t.match((await call(next.search)).body, { items: [{ code: '441900003001' }], next: null })
  t.notMatch(page.text, /街道/, 'street is not granted')
  const row = await call('/by-key?code=441900003001')
  t.match(row.body, { item: { code: '441900003001', name: '岗贝社区' }, position: '10/1', received: /Z$/, source: { agency: 'civil' } })
  const proof = await call(`/proof?position=${row.body.position}`)
  const batch = openBatch(splitBatch(proof.bytes), () => provider.agent.publicKey)
  t.ok(blockValues(batch, 'name').includes('岗贝社区'))
  t.same(batch.blocks.map(({ item }) => item).toSorted(), ['code', 'name'])
  t.equal(
    (await call('', { accept: 'text/csv' })).text,
    'code,name\r\n441900003001,岗贝社区\r\n441900003002,主山社区\r\n441900004001,=1+1\r\n441900004002,\r\n',
  )
  const lines = (await call('?code.ge=441900004', { accept: 'application/x-ndjson' })).text.trim().split('\n')
  t.same(
    lines.map((line) => JSON.parse(line) as object),
    [
      { code: '441900004001', name: '=1+1' },
      { code: '441900004002', name: null },
    ],
  )
  t.match(await call('/by-key?code=1'), { status: 404, body: { code: 'QZ-NOT-FOUND' } })
  t.match(await call('', { accept: 'image/png' }), { status: 400, body: { code: 'QZ-DATA-FILTER' } })
})

void t.test('what the grant does not name does not exist', async (t) => {
  const { call, city, client, grant } = await calling(t, ['name'])
  await grant('api', ['street'])
  const refused = ['street', 'phone', 'nowhere'].map(async (item) => {
    const answers = await Promise.all([
      call(`?${item}=x`),
      call(`?${item}.ge=x`),
      call(`?select=${item}`),
      call(`?sort=${item}`),
      call('/check', {}, { rows: [{ code: '1', [item]: 'x' }] }),
    ])
    return answers.map(({ status, text }) => [status, text.replaceAll(item, 'ITEM')])
  })
  const [ungranted, closed, unknown] = await Promise.all(refused)
  t.same(ungranted, unknown)
  t.same(closed, unknown)
  t.match(unknown, [[400], [400], [400], [400], [400]])
  const other = await callAs(city, client.token, '/other')
  t.match(other, { status: 404 })
  await city.store.query(`insert into resource (code, agency, version) values ('real', 'civil', 1)`)
  t.equal((await callAs(city, client.token, '/real')).text.replaceAll('real', 'other'), other.text)
})

void t.test('changes are had from the beginning, and go on from any place', async (t) => {
  const { call, send } = await calling(t, ['name'])
  const first = await call('/changes?limit=3')
  t.match(first.body, { changes: [{ op: 'upsert', item: { code: '441900003001', name: '岗贝社区' } }, {}, {}], complete: false })
  const rest = await call(`/changes?after=${first.body.next}`)
  t.match(rest.body, { changes: [{ item: { code: '441900004002' } }], complete: true })
  await send([
    { code: '441900003001', $op: 'd' },
    { code: '441900003003', name: '新社区', street: '' },
  ])
  const more = await call(`/changes?after=${rest.body.next}`, { accept: 'application/x-ndjson' })
  t.same(more.text, '{"op":"delete","item":{"code":"441900003001"}}\n{"op":"upsert","item":{"code":"441900003003","name":"新社区"}}\n')
  t.match(more.headers, { 'x-complete': 'true' })
  t.match((await call(`/changes?after=${String(more.headers['x-next'])}`)).body, { changes: [], complete: true })
  await send([{ code: '441900003003', name: '新社区', street: '' }], 'snapshot')
  const swept = (await call(`/changes?after=${String(more.headers['x-next'])}`)).body.changes as { op: string }[]
  t.same(
    swept.map(({ op }) => op),
    ['upsert', 'delete', 'delete', 'delete'],
    'what a snapshot took away is told as deletes',
  )
  for (const after of ['-1', '1.1', '999999.1.0', '10.999.0', "1' or 1=1"])
    t.match(await call(`/changes?after=${after}`), { status: /400|410/ }, after)
})

void t.test('a copy is told to begin again where its items, or what is shown of them, change', async (t) => {
  const { call, city, grantId, client, send } = await calling(t, ['name', 'street'])
  const granted = async (items: string[], masks: object = {}) => {
    await city.store.query('update access_grant set items = $2 where id = $1', [grantId, items])
    t.match(await city.as('civil', 'reviewer').put(`/grants/${grantId}/masks`, { masks }), { status: 200 })
    city.data.views.forget(client.id)
  }
  const again = { status: 410, body: { code: 'QZ-DATA-TRIMMED', who: 'requester' } }
  const keep = { kind: 'keep', first: 1, last: 0 }
  const states: [string, string[], object][] = [
    ['masked', ['name', 'street'], { name: keep }],
    ['masked otherwise', ['name', 'street'], { name: { ...keep, first: 2 } }],
    ['hashed', ['name', 'street'], { name: { kind: 'hash' } }],
    ['not masked any more', ['name', 'street'], {}],
    ['an item less', ['name'], {}],
    ['an item more', ['name', 'street'], {}],
  ]
  // A page of the first copy, a whole copy, and one of an item that nothing is changed of.
  let [page, whole] = [(await call('/changes?limit=2')).body.next as string, (await call('/changes')).body.next as string]
  const { next: other } = (await call('/changes?select=code')).body as { next: string }
  for (const [what, items, masks] of states) {
    await granted(items, masks)
    t.match(await call(`/changes?after=${page}`), again, `${what}: a page`)
    t.match(await call(`/changes?after=${whole}`), again, `${what}: a copy`)
    t.match(await call(`/changes?select=code&after=${other}`), { status: 200, body: { changes: [] } }, `${what}: what it does not concern`)
    ;[page, whole] = [(await call('/changes?limit=2')).body.next as string, (await call('/changes')).body.next as string]
    t.match(await call(`/changes?after=${whole}`), { status: 200, body: { complete: true } })
  }
  await send([{ code: '1', name: 'x', street: '' }])
  t.match(await call(`/changes?after=${whole}`), { status: 200, body: { changes: [{ item: { code: '1', name: 'x' } }] } })
  t.match(await call(`/changes?select=name&after=${whole}`), again, 'other items are another copy')
  t.match(await call(`/changes?after=${whole.replace(/\.[^.]+$/, '')}`), again, 'of a hub that did not bind its places')
})

void t.test('changes go on behind a batch that is larger than what is read at once', async (t) => {
  const { call, send } = await calling(t, ['street'], ({ items }) => Object.assign(items[2]!, { length: 4000 }))
  const { next } = (await call('/changes')).body as { next: string }
  const rows = Array.from({ length: 2000 }, (_, i) => ({ code: `c${i}`, name: '', street: randomBytes(3000).toString('base64') }))
  await send(rows)
  await send([{ code: 'last', name: '', street: null }])
  const first = (await call(`/changes?limit=2000&after=${next}`)).body
  t.match(first, { complete: false, changes: { length: 2000 } })
  t.match((await call(`/changes?after=${first.next}`)).body, { complete: true, changes: [{ item: { code: 'last' } }] })
})

void t.test('what has not changed is not sent again', async (t) => {
  const { call, send, city, grantId, client } = await calling(t)
  for (const path of ['?limit=2', '/by-key?code=441900003001']) {
    const { headers } = await call(path)
    const again = () => call(path, { 'if-none-match': String(headers['etag']) })
    t.match(await again(), { status: 304, text: '' }, path)
    t.match(await call(path, { 'if-none-match': '"x"' }), { status: 200 })
    await send([{ code: '441900003009', name: 'x', street: '' }])
    t.match(await again(), { status: 200 }, `${path}: other data`)
  }
  const { headers } = await call('?limit=2')
  await city.store.query(`update access_grant set items = '{name}' where id = $1`, [grantId])
  city.data.views.forget(client.id)
  t.match(await call('?limit=2', { 'if-none-match': String(headers['etag']) }), { status: 200 }, 'another grant')
})

void t.test('who has lost the grant or the credential is refused, and an export ends', async (t) => {
  const { call, city, grantId, client } = await calling(t)
  const { query } = city.store
  const look = async () => {
    city.data.views.forget(client.id)
    return call('/by-key?code=441900003001')
  }
  for (const [name, ending, undo] of [
    ['suspended', `update access_grant set state = 'suspended' where id = $1`, `update access_grant set state = 'active' where id = $1`],
    ['over', `update access_grant set valid_to = '2020-01-01' where id = $1`, `update access_grant set valid_to = null where id = $1`],
    ['secret', `update resource set secrecy = true where $1 <> ''`, `update resource set secrecy = false where $1 <> ''`],
  ] as const) {
    await query(ending, [grantId])
    t.match(await look(), { status: 403, body: { code: 'QZ-DATA-ENDED' } }, name)
    await query(undo, [grantId])
  }
  t.match(await look(), { status: 200 })
  const second = await secondHub(t, city)
  t.equal((await city.as('water', 'user').post(`/grants/${grantId}/credentials/${client.id}/end`)).status, 200)
  t.match(await look(), { status: 401, body: { code: 'QZ-API-TOKEN' }, headers: { 'www-authenticate': /Bearer/ } })
  t.match(await callAs(second, client.token, '/villages'), { status: 401 }, 'by another process, too')
  t.match(await tokenOf(city, { client_id: client.id, client_secret: client.secret }), { status: 401, body: { code: 'QZ-API-CLIENT' } })
})

void t.test('a token is the hub’s own, for this API, and not over', async (t) => {
  const { city, client } = await calling(t)
  const { hubKey } = city.data
  const claims = { client_id: client.id }
  const made = (change: (jwt: SignJWT) => SignJWT, key: KeyObject = hubKey, typ = 'at+jwt') =>
    change(
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'EdDSA', typ })
        .setSubject(client.id)
        .setIssuer('https://hub.test')
        .setAudience('https://hub.test/data/v1')
        .setExpirationTime(Math.floor(city.now.getTime() / 1000) + 600),
    ).sign(key)
  t.match(await callAs(city, await made((jwt) => jwt), '/villages'), { status: 200 }, 'the right one')
  const unsigned = new UnsecuredJWT(claims)
    .setSubject(client.id)
    .setIssuer('https://hub.test')
    .setAudience('https://hub.test/data/v1')
    .setExpirationTime('10m')
    .encode()
  const tokens = {
    'another key': await made((jwt) => jwt, generateKeyPairSync('ed25519').privateKey),
    'another audience': await made((jwt) => jwt.setAudience('https://hub.test')),
    'another issuer': await made((jwt) => jwt.setIssuer('https://other.test')),
    'another type': await made((jwt) => jwt, hubKey, 'qz-policy'),
    expired: await made((jwt) => jwt.setExpirationTime(Math.floor(city.now.getTime() / 1000) - 1)),
    'of nobody': await made((jwt) => jwt.setSubject('qzc-nobody')),
    unsigned: unsigned,
    'no JWT': 'x',
    'a session': city.as('water', 'user').secret,
  }
  for (const [name, token] of Object.entries(tokens))
    t.match(await callAs(city, token, '/villages'), { status: 401, body: { code: 'QZ-API-TOKEN' } }, name)
  t.match(await callAs(city, undefined, '/villages'), { status: 401 })
})

void t.test('a program may prove itself by an assertion, once each', async (t) => {
  const data = await openDataCity(t)
  const { city } = data
  const grant = await data.grant('api', ['name'])
  const pairs = {
    EdDSA: generateKeyPairSync('ed25519'),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  }
  const form = (client_assertion: string) => ({
    client_assertion,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  })
  const now = Math.floor(city.now.getTime() / 1000)
  let jti = 0
  for (const [alg, { publicKey, privateKey }] of Object.entries(pairs)) {
    const made = await city.as('water', 'agency-it').post(`/grants/${grant}/credentials`, { name: alg, jwk: await exportJWK(publicKey) })
    t.match(made.body, { secret: null, keys: [{ kind: 'key' }] })
    const id = String(made.body.id)
    const assertion = (change: (jwt: SignJWT) => SignJWT = (jwt) => jwt, key: KeyObject | Uint8Array = privateKey, by = alg) =>
      change(
        new SignJWT({})
          .setProtectedHeader({ alg: by })
          .setIssuer(id)
          .setSubject(id)
          .setAudience('https://hub.test/oauth2/token')
          .setJti(`j${++jti}`)
          .setIssuedAt(now)
          .setExpirationTime(now + 300),
      ).sign(key)
    const good = await assertion()
    const issued = await tokenOf(city, form(good))
    t.match(issued, { status: 200, body: { token_type: 'Bearer', expires_in: 900 } }, alg)
    t.match(await callAs(city, issued.body.access_token as string, '/villages'), { status: 200 })
    t.match(await tokenOf(await secondHub(t, city), form(good)), { status: 401 }, 'not twice')
    const bad = {
      'wrong audience': await assertion((jwt) => jwt.setAudience('https://other.test')),
      'good for too long': await assertion((jwt) => jwt.setExpirationTime(now + 3600)),
      over: await assertion((jwt) => jwt.setExpirationTime(now - 300)),
      'not yet': await assertion((jwt) => jwt.setNotBefore(now + 300)),
      'without end': await new SignJWT({ jti: 'e', iss: id, sub: id, aud: 'https://hub.test' })
        .setProtectedHeader({ alg })
        .sign(privateKey),
      'of another': await assertion((jwt) => jwt.setIssuer('qzc-other')),
      'of another key': await assertion((jwt) => jwt, generateKeyPairSync('ed25519').privateKey, 'EdDSA'),
      'by a shared secret': await assertion((jwt) => jwt, publicKey.export({ type: 'spki', format: 'der' }), 'HS256'),
      unsigned: new UnsecuredJWT({})
        .setIssuer(id)
        .setSubject(id)
        .setAudience('https://hub.test/oauth2/token')
        .setJti('u')
        .setExpirationTime(now + 300)
        .encode(),
    }
    for (const [name, one] of Object.entries(bad))
      t.match(await tokenOf(city, form(one)), { status: 401, body: { code: 'QZ-API-CLIENT' } }, `${alg}: ${name}`)
  }
  const weak = await exportJWK(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)
  const private_ = await exportJWK(generateKeyPairSync('ed25519').privateKey)
  for (const jwk of [weak, private_, { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }, { kty: 'OKP', crv: 'X25519', x: 'AA' }])
    t.match(await city.as('water', 'agency-it').post(`/grants/${grant}/credentials`, { name: 'weak', jwk }), { status: 400 })
})

void t.test('a secret is rotated without a gap', async (t) => {
  const { city, client, grantId } = await calling(t)
  const before = { client_id: client.id, client_secret: client.secret }
  const rotated = await city.as('water', 'agency-it').post(`/grants/${grantId}/credentials/${client.id}/rotate`, { hours: 2 })
  const after = { client_id: client.id, client_secret: rotated.body.secret as string }
  t.match([await tokenOf(city, before), await tokenOf(city, after)], [{ status: 200 }, { status: 200 }], 'both for two hours')
  const basic = Buffer.from(`${client.id}:${after.client_secret}`).toString('base64')
  t.match(await tokenOf(city, {}, { authorization: `Basic ${basic}` }), { status: 200 })
  city.now = new Date(city.now.getTime() + 2 * 3_600_000 + 1)
  t.match([await tokenOf(city, before), await tokenOf(city, after)], [{ status: 401 }, { status: 200 }])
  const listed = await city.as('city', 'office').get(`/grants/${grantId}/credentials`)
  t.notMatch(listed.text, /qzs_/, 'secrets are told once')
})

void t.test('a credential is used from its networks alone', async (t) => {
  const data = await openDataCity(t)
  const grant = await data.grant('api', ['name'])
  const here = await program(t, data, grant, { addresses: ['127.0.0.0/8', '::1'] })
  t.match(await callAs(data.city, here.token, '/villages'), { status: 200 })
  const made = await data.city.as('water', 'agency-it').post(`/grants/${grant}/credentials`, { name: 'x', addresses: ['10.1.0.0/16'] })
  const { id, secret } = made.body as { id: string; secret: string }
  t.match(await tokenOf(data.city, { client_id: id, client_secret: secret }), { status: 403, body: { code: 'QZ-API-ADDRESS' } })
  for (const addresses of [['10.1'], ['10.0.0.0/33'], ['x'], ['::/129']])
    t.match(await data.city.as('water', 'agency-it').post(`/grants/${grant}/credentials`, { name: 'x', addresses }), { status: 400 })
})

void t.test('a quota is exact over two processes; what was used is counted, shown and on record', async (t) => {
  const { city, client, grantId } = await calling(t)
  const second = await secondHub(t, city)
  const limits = await city.as('city', 'office').put(`/grants/${grantId}/limits`, { rate: 1000, quota: 30 })
  t.match(limits.body, { rate: 1000, quota: 30 })
  city.data.views.forget(client.id)
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => callAs(i % 2 ? city : second, client.token, '/villages/by-key?code=441900003001')),
  )
  const statuses = answers.map(({ status }) => status)
  t.equal(statuses.filter((status) => status === 200).length, 30)
  t.match(
    answers.find(({ status }) => status !== 200),
    { status: 429, body: { code: 'QZ-API-QUOTA' }, headers: { 'retry-after': /\d/ } },
  )
  t.match((await city.as('civil', 'reviewer').get(`/grants/${grantId}/usage`)).body.items, [{ requests: 50, rows: 50 }])
  t.equal(await recordUsage(city.store, city.now), 0, 'the minute is not over')
  t.equal(await recordUsage(city.store, new Date(city.now.getTime() + 60_000)), 1)
  const acts = await city.store.query(`select actor, agency, via, act, object, details from audit_entry where act like 'api%' order by id`)
  t.match(acts, [
    { actor: client.id, act: 'api.token' },
    {
      actor: client.id,
      agency: 'water',
      via: 'client',
      act: 'api',
      object: 'villages',
      details: { grant: grantId, kind: 'row', requests: 50 },
    },
  ])
})

void t.test('who asks too often waits', async (t) => {
  const { city, client, call, grantId } = await calling(t)
  await city.as('city', 'office').put(`/grants/${grantId}/limits`, { rate: 2, quota: null })
  city.data.views.forget(client.id)
  const answers = await Promise.all(Array.from({ length: 20 }, () => call('/by-key?code=441900003001')))
  const refused = answers.filter(({ status }) => status === 429)
  t.ok(refused.length >= 10, `${refused.length} of 20`)
  t.match(refused[0], { body: { code: 'QZ-API-RATE' }, headers: { 'retry-after': '1', ratelimit: /r=0/, 'ratelimit-policy': /q=4;w=2/ } })
})

void t.test('only the receiver makes credentials, of grants in mode API', async (t) => {
  const data = await openDataCity(t)
  const [api, query] = [await data.grant('api', ['name']), await data.grant('query', ['name'])]
  const wanted = { name: 'x' }
  for (const [agency, role] of [
    ['civil', 'agency-it'],
    ['civil', 'reviewer'],
    ['water', 'registrar'],
    ['health', 'user'],
    ['city', 'office'],
  ] as const)
    t.match(await data.city.as(agency, role).post(`/grants/${api}/credentials`, wanted), { status: /403|404/ }, `${agency} ${role}`)
  const user = data.city.as('water', 'user')
  t.match(await user.post(`/grants/${query}/credentials`, wanted), { status: 422, body: { code: 'QZ-RULE' } })
  const { id } = (await user.post(`/grants/${api}/credentials`, wanted)).body as { id: string }
  const other = await data.grant('api', ['street'])
  t.match(await user.post(`/grants/${other}/credentials/${id}/end`), { status: 404 }, 'of another grant')
  const [one, two] = [await program(t, data, api), await program(t, data, other)]
  t.match((await callAs(data.city, one.token, '/villages')).body.items, [{ name: '岗贝社区' }])
  const seen = (await callAs(data.city, two.token, '/villages')).body.items[0] as object
  t.same(Object.keys(seen), ['code', 'street'], 'each sees its own')
})
