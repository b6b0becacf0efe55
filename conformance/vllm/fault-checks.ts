/**
 * Searches over two real vLLMs of which one dies, hangs, sends nonsense or refuses: what was accepted ends well and is
 * counted right, or fails with a clear error.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { say } from '../../src/cli/command.js'
import type { EngineProcess, Json } from '../engine-process.js'
import type { Checks } from './check.js'
import type { FaultyWay } from './faulty-way.js'
import { letters } from './protocol-checks.js'
import { figureOf } from './vllm-engine.js'

/** Times that an engine is killed. */
const kills = 20
const newTokens = 192

/** Sixteen candidates each. */
export const searches: readonly object[] = [
  { strategy: 'best_of_n', num_candidates: 16, reward: 'length' },
  { strategy: 'beam_search', num_beams: 4, num_children: 4, step: { tokens: 16 }, reward: 'length' },
  { strategy: 'particle_filter', num_particles: 16, step: { tokens: 16 }, reward: 'length' }
]

interface Answer { readonly status: number, readonly retryAfter: string | null, readonly json: Json }

async function ask (address: string, body: object): Promise<Answer> {
  const response = await fetch(`${address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'tiny', prompt: letters(64), max_tokens: newTokens, ignore_eos: true, return_token_ids: true, ...body
    })
  })
  return {
    status: response.status, retryAfter: response.headers.get('retry-after'), json: await response.json() as Json
  }
}

/** One of each search, and a greedy answer: they begin at once. */
const askAll = (address: string, seed: number): Array<Promise<Answer>> => [
  ...searches.map(alignment => ask(address, { seed, alignment })), ask(address, { temperature: 0 })
]

/** What holds of each answer of `askAll`, whatever happened to the engines. */
class Expected {
  readonly #generated: number[]
  readonly #greedy: number[]

  /** @param quiet answers with which nothing happened */
  constructor (quiet: readonly Answer[]) {
    for (const { status, json } of quiet) assert.equal(status, 200, JSON.stringify(json))
    this.#generated = quiet.map(({ json: { usage } }) => usage.alignment_details.generated_tokens as number)
    this.#greedy = quiet.at(-1)!.json['choices'][0].token_ids as number[]
  }

  /** @returns calls that failed and were made again */
  check (answers: readonly Answer[]): number {
    let again = 0
    for (const [index, { status, json }] of answers.entries()) {
      assert.equal(status, 200, JSON.stringify(json))
      const { usage: { completion_tokens: completion, alignment_details: details }, choices: [choice] } = json as Json
      assert.equal(choice.token_ids.length, newTokens)
      assert.equal(details.generated_tokens, details.returned_tokens + details.discarded_tokens)
      assert.equal(completion, details.returned_tokens)
      // Answers do not end by themselves: as many tokens as without a fault, or some were drawn twice.
      assert.equal(details.generated_tokens, this.#generated[index])
      again += details.engine.failed_calls as number
    }
    assert.deepEqual(answers.at(-1)!.json['choices'][0].token_ids, this.#greedy, 'the greedy answer changed')
    return again
  }
}

/** Waits until something holds. @throws Error naming it, if it does not within a minute */
export async function until (what: string, holds: () => Promise<boolean>, withinMs = 60_000): Promise<number> {
  const from = performance.now()
  while (!(await holds())) {
    if (performance.now() - from > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(10)
  }
  return performance.now() - from
}

/** One of Fairlead's own figures of a replica. */
async function figureAt (address: string, name: string, url: string): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text()
  const line = text.split('\n').find(one => one.startsWith(`${name}{`) && one.includes(`"${url}"`))
  return Number(line?.split(' ').at(-1))
}

/** Whether Fairlead sends calls to a replica. */
const isUp = async (address: string, url: string): Promise<boolean> =>
  await figureAt(address, 'fairlead_engine_up', url) === 1

/** Whether some run there. */
const isAsked = async (address: string, url: string): Promise<boolean> =>
  await figureAt(address, 'fairlead_engine_calls_running', url) > 0

const atWork = async (engine: EngineProcess): Promise<boolean> => await figureOf(engine, 'num_requests_running') > 0

/** Two engines, and how one that was killed is started again where it was. */
export interface Pair {
  readonly engines: EngineProcess[]
  restart (index: number): Promise<void>
}

/** Deaths. @param address of a Fairlead in front of both */
export async function deathChecks (checks: Checks, pair: Pair, address: string): Promise<void> {
  const drawn = async (): Promise<number> => (await Promise.all(pair.engines.map(engine =>
    figureOf(engine, 'generation_tokens_total')))).reduce((sum, count) => sum + count, 0)
  const before = await drawn()
  const expected = new Expected(await Promise.all(askAll(address, 1)))
  const all = await drawn() - before
  await checks.check(`one of two engines is killed in mid-search, ${kills} times: nothing fails or is drawn twice`,
    async () => {
      let [again, done] = [0, 0]
      for (let seed = 2; done < kills; seed++) {
        assert.ok(seed < 4 * kills, `after ${done} kills the searches ended too early`)
        const doomed = pair.engines[done % 2]!
        const from = await drawn()
        const asked = Promise.all(askAll(address, seed))
        // Early and late in the search, at a step's begin and in its middle.
        const due = all * (seed * 197 % 900) / 1000
        await until('a part of all tokens is drawn', async () => await drawn() - from >= due)
        if (await isAsked(address, doomed.url)) {
          await doomed.close()
          const made = expected.check(await asked)
          again += made
          // Its calls may have ended in that very moment.
          if (made > 0) done++
          say(`          killed ${done} times, ${made} calls made again`)
          await pair.restart(pair.engines.indexOf(doomed))
          await until('the engine that was started again is used', () => isUp(address, doomed.url))
        } else expected.check(await asked)
      }
      return `${again} calls were made again`
    })
}

/** All engines die. @param address of a Fairlead in front of both */
export async function allDeadCheck (checks: Checks, pair: Pair, address: string): Promise<void> {
  const expected = new Expected(await Promise.all(askAll(address, 1)))
  await checks.check('where both are killed, requests end at once with 503 and Retry-After', async () => {
    const asked = askAll(address, 99)
    await until('they are at work', () => isAsked(address, pair.engines[0]!.url))
    await Promise.all(pair.engines.map(engine => engine.close()))
    const from = performance.now()
    for (const { status, retryAfter, json } of await Promise.all(asked)) {
      assert.deepEqual([status, json['error'].code], [503, 'unavailable'], JSON.stringify(json))
      assert.ok(Number(retryAfter) >= 1)
    }
    const ms = performance.now() - from
    assert.equal((await fetch(`${address}/ready`)).status, 503)
    await Promise.all([0, 1].map(index => pair.restart(index)))
    await until('ready again', async () => (await fetch(`${address}/ready`)).status === 200)
    expected.check(await Promise.all(askAll(address, 100)))
    return `after ${Math.round(ms)} ms; ready again once they were`
  })
}

/** Hanging. @param address of a Fairlead in front of both that waits for `timeoutMs` */
export async function hangCheck (checks: Checks, { engines }: Pair, address: string, timeoutMs: number): Promise<void> {
  const expected = new Expected(await Promise.all(askAll(address, 1)))
  await checks.check('an engine that hangs is given up, another goes on, and it is used again when it goes on',
    async () => {
      const [hung] = engines as [EngineProcess]
      const asked = askAll(address, 200)
      await until('it is at work', () => isAsked(address, hung.url))
      const from = performance.now()
      hung.signal('SIGSTOP')
      let again = 0
      try {
        again = expected.check(await Promise.all(asked))
        assert.ok(again > 0, 'no call was lost')
        assert.ok(!(await isUp(address, hung.url)))
      } finally {
        hung.signal('SIGCONT')
      }
      const ms = performance.now() - from
      await until('it has dropped what was asked of it', async () => !(await atWork(hung)))
      await until('it is used again', () => isUp(address, hung.url))
      expected.check(await Promise.all(askAll(address, 201)))
      return `${again} calls were made again; the searches ended ${Math.round(ms)} ms later (it waits ${timeoutMs})`
    })
}

/** Nonsense and refusals. @param address of a Fairlead behind whose ways the engines are */
export async function wayChecks (checks: Checks, ways: readonly FaultyWay[], address: string): Promise<void> {
  const expected = new Expected(await Promise.all(askAll(address, 1)))
  const during = async (way: FaultyWay, doing: FaultyWay['doing'], seed: number): Promise<number> => {
    const asked = askAll(address, seed)
    const before = way.spoiled
    way.doing = doing
    try {
      await until('a call was spoiled', () => Promise.resolve(way.spoiled > before))
      way.doing = { kind: 'none' }
      return expected.check(await Promise.all(asked))
    } finally {
      way.doing = { kind: 'none' }
    }
  }
  await checks.check('calls whose answers turn into nonsense are made again elsewhere', async () => {
    let again = 0
    for (let seed = 300; seed < 310; seed++) again += await during(ways[seed % 2]!, { kind: 'corrupt' }, seed)
    assert.ok(again >= 10, String(again))
    return `${again} calls, of 40 requests`
  })
  await checks.check('an engine that refuses with 429 is left alone as long as it asks', async () =>
    `${await during(ways[0]!, { kind: 'refuse', retryAfter: 1 }, 400)} calls were made again`)
  await checks.check('where all refuse with 429, and for long, callers are told so and how long', async () => {
    for (const way of ways) way.doing = { kind: 'refuse', retryAfter: 7 }
    try {
      for (const { status, retryAfter, json } of await Promise.all(askAll(address, 500))) {
        assert.deepEqual([status, retryAfter], [429, '7'], JSON.stringify(json))
        assert.match(json['error'].message, /engine of this model is busy/)
      }
    } finally {
      for (const way of ways) way.doing = { kind: 'none' }
    }
    expected.check(await Promise.all(askAll(address, 501)))
  })
}
