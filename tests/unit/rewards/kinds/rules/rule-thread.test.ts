import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '../../../../../src/errors.js'
import { RuleThread, type RuleJob, type RuleJobOwner } from '../../../../../src/rewards/kinds/rules/rule-thread.js'

const job = (text: string, fields: object): RuleJob => ({
  descriptor: JSON.stringify({ kind: 'rule', ...fields }),
  answer: { text, tokens: [], final: true },
  prompt: { messages: [{ role: 'user', content: 'q' }] }
})
const quick = (text: string): RuleJob => job(text, { rule: 'regex', pattern: '^a' })
/** Ajv compares each list with every other. */
const lists = `[${Array.from({ length: 40_000 }, (_, n) => `[${n}]`).join()}]`
const slow = job(lists, { rule: 'json_schema', schema: { type: 'array', uniqueItems: true } })
const owner = (caller = 'a', signal = new AbortController().signal): RuleJobOwner => ({ caller, signal })

test('a rule that takes too long fails alone, and those behind it are answered', async () => {
  const thread = new RuleThread(300)
  const results = await Promise.allSettled([thread.score(slow, owner()), thread.score(quick('ab'), owner()),
    thread.score(quick('b'), owner())])
  assert.match(String((results[0] as PromiseRejectedResult).reason), /took more than 300 ms for an answer of \d+ char/)
  assert.deepEqual(results.slice(1).map(result => (result as PromiseFulfilledResult<number>).value), [1, 0])
})

test('callers take turns: one with many answers does not go before another with one', async () => {
  const thread = new RuleThread()
  const [many, one] = [owner('many'), owner('one')]
  const order: string[] = []
  await Promise.all([
    ...Array.from({ length: 6 }, async (_, index) => {
      await thread.score(quick('a'), many)
      order.push(`many ${index}`)
    }),
    thread.score(quick('a'), one).then(() => { order.push('one') })
  ])
  assert.ok(order.indexOf('one') <= 2, order.join())
})

test('what nobody waits for is not begun, and ends where it has', async () => {
  const thread = new RuleThread()
  const leaving = new AbortController()
  const leaves = owner('a', leaving.signal)
  const left = [thread.score(slow, leaves), thread.score(quick('a'), leaves)]
  const stays = thread.score(quick('a'), owner())
  leaving.abort(new Error('gone'))
  for (const one of left) await assert.rejects(one, /gone/)
  assert.equal(await stays, 1)
})

test('errors of a request keep their code; an answer too deep for the schema fails by name', async () => {
  const thread = new RuleThread()
  await assert.rejects(thread.score(job('5', { rule: 'numeric_answer', answers: { other: 1 } }), owner()),
    (error: unknown) => error instanceof RequestError && error.code === 'invalid_request' && error.param === 'messages')
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  const schema = { type: 'array', items: { $ref: '#' } }
  await assert.rejects(thread.score(job(deep, { rule: 'json_schema', schema }), owner()), /failed \(/)
  assert.equal(await thread.score(quick('a'), owner()), 1)
})
