/** What replicas share, in a real PostgreSQL: the same contracts as in files and memory, and two that use one. */
import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { noRemotes } from '../../src/rewards/kinds/remote.js'
import type { RewardDescriptor } from '../../src/rewards/descriptor.js'
import { RewardStore } from '../../src/rewards/reward-store.js'
import type { ResponseLimits, ResponseTexts } from '../../src/stores/responses.js'
import { Database } from '../../src/stores/postgres/database.js'
import { PostgresChats } from '../../src/stores/postgres/postgres-chats.js'
import { postgresRates } from '../../src/stores/postgres/postgres-rates.js'
import { PostgresResponses } from '../../src/stores/postgres/postgres-responses.js'
import { PostgresRewards, rewardsRevision } from '../../src/stores/postgres/postgres-rewards.js'
import { failsWith, storedChat, testChats } from '../../tests/helpers/chats-contract.js'
import { PostgresServer } from './postgres-server.js'

const server = await PostgresServer.create()
after(() => server.remove())

/** A connection of its own to a database, closed when the test ends. */
function connected (t: TestContext, url: string, connections = 4): Database {
  const database = new Database(url, connections)
  t.after(() => database.close())
  return database
}

testChats('in a database', async (t, limits) => new PostgresChats(connected(t, await server.database()), limits))

test('replicas that make the tables at the same moment make them once', async t => {
  const url = await server.database()
  const databases = Array.from({ length: 6 }, () => connected(t, url))
  const rows = await Promise.all(databases.map(database => database.rows('SELECT version FROM fairlead.version')))
  assert.deepEqual(rows.flat(), Array(6).fill({ version: 1 }))
})

test('tables of a later version are left alone, and a role that may make none says so', async t => {
  const url = await server.database()
  await connected(t, url).rows('SELECT 1')
  const name = new URL(url).pathname.slice(1)
  await server.query('UPDATE fairlead.version SET version = 99', name)
  await assert.rejects(connected(t, url).rows('SELECT 1'),
    failsWith('store_unavailable', /tables are of version 99, this Fairlead knows 1/))
  await server.query("CREATE ROLE poor LOGIN PASSWORD 'x'")
  const poor = new URL(await server.database())
  Object.assign(poor, { username: 'poor', password: 'x' })
  await assert.rejects(connected(t, String(poor)).rows('SELECT 1'),
    failsWith('store_unavailable', /permission denied for database/))
  poor.password = 'wrong'
  await assert.rejects(connected(t, String(poor)).rows('SELECT 1'),
    failsWith('store_unavailable', /^(?!.*wrong).*password authentication failed/))
})

test('a caller has its bytes of chats at all replicas together, whoever stores at the same moment', async t => {
  const url = await server.database()
  const limits = { completions: 100, bytesPerCaller: 20_000, bytes: 100_000 }
  const replicas = [0, 1].map(() => new PostgresChats(connected(t, url), limits))
  await Promise.all(Array.from({ length: 40 }, (_, index) =>
    replicas[index % 2]!.storeCompletion(storedChat(`c${index}`, 'x'.repeat(1900)))))
  const [row] = await connected(t, url).rows('SELECT SUM(bytes) AS held, COUNT(*) AS count, ' +
    "(SELECT bytes FROM fairlead.used WHERE kind = 'chats') AS used FROM fairlead.completions")
  assert.ok(Number(row!['held']) <= 20_000 && Number(row!['count']) === 10, JSON.stringify(row))
  assert.equal(row!['used'], row!['held'])
})

test('a rate is had once by all replicas together, and what is used of it is counted for all', async t => {
  const url = await server.database()
  const rates = [0, 1].map(() => postgresRates(connected(t, url)).of('me', 'requests', 10))
  const taken = await Promise.all(Array.from({ length: 30 }, (_, index) => rates[index % 2]!.take()))
  // As much time as a second would bring back a sixth of one.
  assert.equal(taken.filter(({ waitMs }) => waitMs === 0).length, 10)
  const last = await rates[0]!.take()
  assert.ok(last.limit === 10 && last.remaining === 0 && last.waitMs > 0 && last.waitMs <= 6000, JSON.stringify(last))
  const tokens = [0, 1].map(() => postgresRates(connected(t, url)).of('me', 'tokens', 600))
  tokens[0]!.spend(900)
  while ((await tokens[1]!.look()).remaining > 0);
  const { waitMs, resetMs } = await tokens[1]!.look()
  assert.ok(waitMs > 25_000 && waitMs <= 30_100 && resetMs > 85_000 && resetMs <= 90_000, `${waitMs} ${resetMs}`)
  const other = await postgresRates(connected(t, url)).of('other', 'tokens', 600).look()
  assert.deepEqual([other.remaining, other.waitMs], [600, 0])
})

test('what was used while the database is away is owed', async t => {
  const url = await server.database()
  const gone = new URL(url)
  gone.port = '1'
  const rate = postgresRates(connected(t, String(gone))).of('me', 'tokens', 600)
  rate.spend(900)
  await assert.rejects(rate.look(), failsWith('store_unavailable', /127\.0\.0\.1:1\/test_\d+ cannot be used: .*ECONNREFUSED/))
  await assert.rejects(rate.take(), failsWith('store_unavailable', /ECONNREFUSED/))
})

const limits: ResponseLimits = { responses: 3, bytesPerCaller: 1000, bytes: 2000 }
const texts = (bytes: number, ...itemIds: string[]): ResponseTexts => ({
  response: JSON.stringify({ id: 'r', text: '\u0000 é' }),
  input: ['{}'],
  itemIds,
  isBackground: false,
  events: null,
  bytes
})

test('responses: the least recently used of a caller go first, by number and bytes', async t => {
  const url = await server.database()
  const [one, two] = [0, 1].map(() => new PostgresResponses(connected(t, url), limits)) as
    [PostgresResponses, PostgresResponses]
  const there = async (): Promise<string> => {
    const rows = await connected(t, url).rows("SELECT id FROM fairlead.responses WHERE caller = 'me' ORDER BY used")
    return rows.map(row => row['id']).join('')
  }
  for (const id of ['a', 'b', 'c']) assert.equal(await one.keep('me', id, texts(100)), true)
  assert.deepEqual((await two.find('me', 'a'))?.texts, texts(100))
  assert.equal(await two.find('other', 'a'), null)
  await two.keep('me', 'd', texts(100))
  assert.equal(await there(), 'cad')
  await one.keep('me', 'e', texts(750))
  assert.equal(await there(), 'ade')
  await one.keep('me', 'f', texts(150))
  assert.equal(await there(), 'def', 'no more than must')
  await one.keep('me', 'f2', texts(800))
  assert.equal(await there(), 'ff2')
  await one.delete('me', 'f2')
  assert.equal(await one.keep('me', 'g', texts(1001)), false)
  assert.equal(await there(), 'f', 'nothing goes for what has no room')
  await one.keep('other', 'x', texts(1000))
  await one.keep('third', 'y', texts(700))
  assert.equal(await one.keep('fourth', 'z', texts(200)), false, 'all have their bytes')
  assert.equal(await two.delete('me', 'f'), true)
  assert.equal(await two.delete('me', 'f'), false)
  assert.equal(await one.keep('fourth', 'z', texts(200)), true)
})

test('responses: items are found where they were used last', async t => {
  const store = new PostgresResponses(connected(t, await server.database()), limits)
  await store.keep('me', 'a', texts(10, 'i', 'j'))
  await store.keep('me', 'b', texts(10, 'j', 'k'))
  await store.keep('other', 'c', texts(10, 'l'))
  assert.deepEqual([...await store.holders('me', ['i', 'j', 'l', 'm'])], [['i', 'a'], ['j', 'b']])
})

test('responses that run are seen, cancelled and deleted from elsewhere; those of a lost replica are lost', async t => {
  const url = await server.database()
  const [one, two] = [0, 1].map(() => new PostgresResponses(connected(t, url), limits)) as
    [PostgresResponses, PostgresResponses]
  const ended: string[] = []
  one.onEnded(id => { ended.push(id) })
  for (const id of ['a', 'b', 'c']) assert.equal(await one.begin('me', id, texts(100)), true)
  assert.equal(await one.begin('me', 'd', texts(100)), false, 'those that run are not evicted')
  assert.equal((await two.find('me', 'a'))?.state, 'running')
  await one.look()
  assert.deepEqual(ended, [])
  assert.deepEqual([await two.cancel('me', 'a'), await two.cancel('other', 'b'), await two.delete('me', 'b')],
    [true, false, true])
  assert.equal((await two.find('me', 'a'))?.state, 'cancelled')
  await one.look()
  assert.deepEqual(ended, ['a', 'b'])
  await one.end('me', 'a', texts(50))
  await one.end('me', 'b', texts(50))
  assert.equal((await two.find('me', 'a'))?.state, 'ended')
  assert.equal(await two.find('me', 'b'), null, 'what was deleted stays so')
  await connected(t, url).run("UPDATE fairlead.responses SET alive = alive - interval '1 minute' WHERE id = 'c'")
  assert.equal((await two.find('me', 'c'))?.state, 'lost')
  assert.equal(await two.cancel('me', 'c'), false)
})

const reward = (name: string, phrase = 'otter'): RewardDescriptor => ({
  name, description: 'x', kind: 'rule', rule: 'must_mention', phrases: [phrase]
} as RewardDescriptor)

test('rewards kept at one replica are there at the other, replaced ones anew, unreadable ones passed over', async t => {
  const url = await server.database()
  const [database, watched] = [connected(t, url), connected(t, url)]
  const problems: string[] = []
  const open = (own: Database): Promise<RewardStore> => RewardStore.open({
    fixed: [], kept: new PostgresRewards(own), remotes: noRemotes, onProblem: message => { problems.push(message) }
  })
  const [one, two] = [await open(database), await open(watched)]
  const before = await rewardsRevision(watched)
  await one.save(reward('mine'))
  await one.save(reward('other'))
  assert.notEqual(await rewardsRevision(watched), before)
  assert.equal(two.families.length, 0)
  // Two fits at the same moment: the second may not go over what it has not seen.
  await assert.rejects(two.save(reward('mine', 'badger'), false), failsWith('invalid_request', /already taken/))
  await two.refresh()
  const [mine, other] = two.families
  assert.deepEqual([mine!.name, other!.name, two.isKept(mine!)], ['mine', 'other', true])
  await one.save(reward('mine', 'badger'))
  await two.refresh()
  assert.notEqual(two.families[0]!.version, mine!.version)
  assert.equal(two.families[1], other, 'what has not changed is not read again')
  await two.delete('mine')
  await one.refresh()
  assert.deepEqual(one.families.map(({ name }) => name), ['other'])
  await database.run("INSERT INTO fairlead.rewards VALUES ('odd', '{\"kind\": \"of a later version\"}', 99)")
  await one.refresh()
  assert.deepEqual(one.families.map(({ name }) => name), ['other'])
  assert.match(problems.join('\n'), /odd\.json.*kind.*it is not used here/)
})
