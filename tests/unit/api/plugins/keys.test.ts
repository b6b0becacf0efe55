import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Keys } from '../../../../src/api/plugins/keys.js'
import { RequestError } from '../../../../src/errors.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-keys-'))
after(() => { rmSync(folder, { recursive: true }) })
const none = {
  host: '127.0.0.1',
  apiKeys: [],
  adminKeys: [],
  apiKeysFile: '',
  maxRequestsPerKey: 0,
  requestsPerMinutePerKey: 0,
  tokensPerMinutePerKey: 0
}
const [long, other] = ['a-key-long-enough', 'another-long-key-']
const sha256 = createHash('sha256').update(long).digest('hex')

function file (content: unknown): typeof none {
  const path = join(folder, 'keys.json')
  writeFileSync(path, JSON.stringify(content))
  return { ...none, apiKeysFile: path }
}

test('without keys addresses take turns, with keys their holders do, wherever they are', () => {
  const turns = (keys: Keys, key?: string): string[] => ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2']
    .map(address => keys.find(key && `Bearer ${key}`, address).turn)
  assert.deepEqual(turns(new Keys(none)), ['192.0.2.1', '192.0.2.2', '2001:db8:0:0', '2001:db8:0:0'])
  assert.equal(new Keys(none).find(undefined, '192.0.2.1').name, 'anyone')
  const keys = new Keys({ ...none, apiKeys: [long] })
  const { name } = keys.find(`Bearer ${long}`)
  assert.deepEqual(turns(keys, long), [name, name, name, name])
})

test('without keys everybody may do everything', () => {
  const keys = new Keys(none)
  assert.equal(keys.areNeeded, false)
  const anyone = keys.find(undefined)
  assert.equal(anyone.role, 'admin')
  assert.equal(anyone.saltOf('x'), 'x')
})

test('without keys nobody has the role admin where other machines can call', () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'fairlead.test']) {
    assert.equal(new Keys({ ...none, host }).find(undefined).role, 'inference', host)
  }
  for (const host of ['localhost', '127.0.0.1', '127.0.0.5', '::1']) {
    assert.equal(new Keys({ ...none, host }).find(undefined).role, 'admin', host)
  }
})

test('only an admin goes before others: a priority below 0 is refused', () => {
  const keys = new Keys({ ...none, apiKeys: [long], adminKeys: [other] })
  const [caller, admin] = [keys.find(`Bearer ${long}`), keys.find(`Bearer ${other}`)]
  for (const priority of [0, 1, 1000]) caller.checkPriority(priority)
  for (const priority of [-1, -1000]) {
    admin.checkPriority(priority)
    assert.throws(() => { caller.checkPriority(priority) }, (error: unknown) => error instanceof RequestError &&
      error.code === 'permission_denied' && error.param === 'priority')
  }
})

test('a key finds its caller; its hash, not itself, is in the file', () => {
  const keys = new Keys({ ...file([{ name: 'me', sha256, role: 'admin' }]), apiKeys: [other] })
  assert.deepEqual([keys.find(`Bearer ${long}`).name, keys.find(`bearer  ${long}`).role,
    keys.find(`Bearer ${other}`).role], ['me', 'admin', 'inference'])
  for (const header of [undefined, '', long, `Bearer ${long}x`, `Bearer ${sha256}`, 'Bearer']) {
    assert.throws(() => keys.find(header), (error: unknown) => error instanceof RequestError && error.status === 401 &&
      error.code === 'invalid_api_key' && !error.message.includes(long))
  }
})

test('a key of a setting has a name of its own, whatever stands before it', () => {
  const keys = new Keys({ ...none, apiKeys: [other, long] })
  const name = keys.find(`Bearer ${long}`).name
  assert.equal(name, `api-keys ${sha256.slice(0, 16)}`)
  assert.equal(new Keys({ ...none, apiKeys: [long] }).find(`Bearer ${long}`).name, name)
  assert.notEqual(keys.find(`Bearer ${other}`).name, name)
})

test('salts of callers and requests never meet', () => {
  const keys = new Keys({ ...none, apiKeys: [long, other] })
  const salts = [long, other].flatMap(key => ['', 'a'].map(salt => keys.find(`Bearer ${key}`).saltOf(salt)))
  assert.equal(new Set(salts).size, 4)
})

test('a caller runs as many requests as it may, and each place is given back once', () => {
  const caller = new Keys({ ...none, apiKeys: [long], maxRequestsPerKey: 2 }).find(`Bearer ${long}`)
  const first = caller.take()
  caller.take()
  assert.throws(() => caller.take(), /may run 2 requests at a time/)
  first()
  first()
  caller.take()
  assert.throws(() => caller.take(), /may run 2 requests at a time/)
})

test('requests count whether or not they begin work, and tokens where they draw some', async () => {
  const settings = { ...none, apiKeys: [long], requestsPerMinutePerKey: 2, tokensPerMinutePerKey: 10 }
  const caller = new Keys(settings).find(`Bearer ${long}`)
  caller.spend(20)
  await caller.countRequest()
  caller.take()()
  await assert.rejects(caller.checkTokens(), /may have 10 generated tokens a minute/)
  await caller.countRequest()
  const told: unknown[] = []
  await assert.rejects(caller.countRequest(headers => { told.push(headers['x-ratelimit-remaining-requests']) }),
    /may have 2 requests a minute/)
  assert.deepEqual(told, ['0'])
})

/** [settings, what the message says] */
const refused: ReadonlyArray<readonly [() => Parameters<typeof createKeys>[0], RegExp]> = [
  [() => ({ ...none, apiKeys: ['short'] }), /api-keys must hold keys of at least 16 characters; number 1 has 5/],
  [() => ({ ...none, apiKeys: [long, long] }), /has a name or a key that another one has/],
  [() => ({ ...none, apiKeysFile: join(folder, 'nowhere') }), /nowhere cannot be read/],
  [() => file({}), /must hold a list of keys/],
  [() => file([{ name: 'x' }]), /\[0\]\.sha256 must be a string of exactly 64 characters/],
  [() => file([{ name: 'x', sha256: 'z'.repeat(64) }]), /must be 64 lower-case hex digits/],
  [() => file([{ name: 'x', sha256, role: 'root' }]), /role must be one of inference, admin; got "root"/],
  [() => file([{ name: 'x', sha256, key: long }]), /\[0\]\.key is not a field/]
]

const createKeys = (settings: ConstructorParameters<typeof Keys>[0]): Keys => new Keys(settings)
for (const [settings, message] of refused) {
  test(`keys are refused: ${message.source}`, () => { assert.throws(() => createKeys(settings()), message) })
}
