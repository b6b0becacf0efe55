import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackgroundResponse } from '../../../../src/api/responses/background-response.js'
import { KeptResponses } from '../../../../src/api/responses/kept-responses.js'
import { keptOf, textsOf, type KeptResponse } from '../../../../src/api/responses/stored-response.js'
import { Keys } from '../../../../src/api/plugins/keys.js'
import { RequestError } from '../../../../src/errors.js'
import type { ResponseState, ResponseTexts, SharedResponses } from '../../../../src/stores/responses.js'
import { failsWith } from '../../../helpers/chats-contract.js'

const caller = new Keys({
  host: '127.0.0.1',
  apiKeys: [],
  adminKeys: [],
  apiKeysFile: '',
  maxRequestsPerKey: 0,
  requestsPerMinutePerKey: 0,
  tokensPerMinutePerKey: 0
}).find(undefined)
const limits = {
  storedResponses: 8, storedResponseBytes: 1 << 20, storedResponseBytesPerKey: 1 << 20, bodyLimitBytes: 1 << 20
}
const kept = (id: string, more: Partial<KeptResponse> = {}): KeptResponse => ({
  input: [{
    id: `${id}_in`, type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'é' }]
  }],
  response: { id, status: 'completed', output: [{ id: `${id}_out`, type: 'message', content: [] }] } as unknown as
    KeptResponse['response'],
  isBackground: false,
  events: null,
  ...more
})

/** A store in memory that may be away, or full. */
class Shared implements SharedResponses {
  readonly rows = new Map<string, { texts: ResponseTexts, state: ResponseState }>()
  isAway = false
  isFull = false
  tell: (id: string) => void = () => {}

  #use (): void { if (this.isAway) throw new RequestError('store_unavailable', 'away') }

  async find (_caller: string, id: string): ReturnType<SharedResponses['find']> {
    this.#use()
    return this.rows.get(id) ?? null
  }

  async holders (_caller: string, ids: readonly string[]): Promise<Map<string, string>> {
    this.#use()
    return new Map([...this.rows].flatMap(([id, { texts }]) =>
      texts.itemIds.filter(item => ids.includes(item)).map(item => [item, id] as const)))
  }

  async #put (id: string, texts: ResponseTexts, state: ResponseState): Promise<boolean> {
    this.#use()
    if (!this.isFull) this.rows.set(id, { texts, state })
    return !this.isFull
  }

  keep (_caller: string, id: string, texts: ResponseTexts): Promise<boolean> { return this.#put(id, texts, 'ended') }
  begin (_caller: string, id: string, texts: ResponseTexts): Promise<boolean> { return this.#put(id, texts, 'running') }
  async end (_caller: string, id: string, texts: ResponseTexts): Promise<void> { await this.#put(id, texts, 'ended') }
  async cancel (): Promise<boolean> { return true }
  async delete (_caller: string, id: string): Promise<boolean> { return this.rows.delete(id) }
  onEnded (listener: (id: string) => void): void { this.tell = listener }
}

test('what others may ask for is shared, what a socket alone goes on from is not', async () => {
  const shared = new Shared()
  const [one, two] = [new KeptResponses(limits, shared), new KeptResponses(limits, shared)]
  assert.equal(await one.keep(caller, 'a', kept('a')), true)
  assert.equal(await one.keep(caller, 'b', kept('b'), false), true)
  assert.deepEqual(await two.find(caller, 'a'), kept('a'))
  assert.deepEqual([...shared.rows.keys()], ['a'])
  assert.deepEqual([await one.find(caller, 'b'), (await one.findLast(caller, 'b'))?.response.id], [null, 'b'])
  assert.deepEqual([...await two.items(caller, new Set(['a_in', 'a_out', 'b_in']))].map(([id, item]) => [id, item.id]),
    [['a_in', 'a_in'], ['a_out', 'a_out']].sort((x, y) => x[0]! < y[0]! ? 1 : -1))
  assert.equal(await two.delete(caller, 'a'), true)
  assert.equal(await one.find(caller, 'a'), null)
})

test('a response is not kept where the store is away or full, and asking for one fails where it is away', async () => {
  const shared = new Shared()
  const responses = new KeptResponses(limits, shared)
  shared.isFull = true
  assert.equal(await responses.keep(caller, 'a', kept('a')), false)
  shared.isAway = true
  assert.equal(await responses.keep(caller, 'a', kept('a')), false)
  await assert.rejects(responses.find(caller, 'a'), failsWith('store_unavailable', /away/))
})

test('one of the background is seen, and cancelled, from elsewhere, and is shared when it ends', async () => {
  const shared = new Shared()
  const [one, two] = [new KeptResponses(limits, shared), new KeptResponses(limits, shared)]
  let cancelled = 0
  const background = {
    kept: kept('a', { isBackground: true, events: [Buffer.from('{}')] }), cancel: () => { cancelled++ }
  } as unknown as BackgroundResponse
  shared.isFull = true
  await assert.rejects(one.begin(caller, 'a', background, 10), failsWith('rate_limit_exceeded', /no room/))
  assert.equal(one.running(caller, 'a'), null)
  cancelled = 0
  shared.isFull = false
  const told = new Shared()
  const watched = new KeptResponses(limits, told)
  await watched.begin(caller, 'a', background, 10)
  told.tell('a')
  assert.equal(cancelled, 1)
  await one.begin(caller, 'a', background, 10)
  assert.equal((await two.find(caller, 'a'))?.runsElsewhere, true)
  await one.end(caller, 'a')
  assert.equal(one.running(caller, 'a'), null)
  const ended = await two.find(caller, 'a')
  assert.deepEqual([ended?.runsElsewhere, ended?.events?.map(String)], [undefined, ['{}']])
})

test('what its replica did not write to its end reads as it ended', () => {
  const texts = textsOf(kept('a'), 1)
  const statuses = (['ended', 'running', 'cancelled', 'lost'] as const).map(state => keptOf(texts, state).response)
  assert.deepEqual(statuses.map(({ status, error }) => [status, error?.code]), [
    ['completed', undefined], ['completed', undefined], ['cancelled', undefined], ['failed', 'unavailable']
  ])
})
