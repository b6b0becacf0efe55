/**
 * Who searches over one vLLM: Fairlead in front of it, the libraries that do it on the client's side, and plain
 * sampling by the engine itself.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTarget, type Target } from '../../bench/harness/server-process.js'
import { EngineProcess as Driver } from '../../bench/peers/engine-process.js'
import { packageRoot } from '../../src/package-root.js'

export const methods = ['best_of_n', 'beam_search', 'particle_filter'] as const
export type Method = (typeof methods)[number]

/** What a search is to do: as many tokens of each candidate, whatever they are. */
export interface Task {
  readonly method: Method
  readonly message: string
  readonly candidates: number
  /** Of beam search, each with as many children as make the candidates. */
  readonly beams: number
  readonly newTokens: number
  readonly stepTokens: number
}

/** Somebody who can be given a task. @returns ms until the best answer was there */
export type Search = (task: Task) => Promise<number>

/** What is common to answers that are good: the reward is the share of these words that an answer has. */
const words = ['the', 'a', 'of', 'and', 'to', 'in', 'is', 'it', 'that', 'for', 'with', 'you']
const reward = 'common_words'

/** @throws Error with the answer, where it is not 200 */
async function post (url: string, body: object): Promise<Record<string, any>> {
  const response = await fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text.slice(0, 300)}`)
  return JSON.parse(text) as Record<string, any>
}

async function timed (work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

const alignments: Readonly<Record<Method, (task: Task) => object>> = {
  best_of_n: ({ candidates }) => ({ num_candidates: candidates }),
  beam_search: ({ candidates, beams, stepTokens }) =>
    ({ num_beams: beams, num_children: candidates / beams, step: { tokens: stepTokens } }),
  particle_filter: ({ candidates, stepTokens }) => ({ num_particles: candidates, step: { tokens: stepTokens } })
}

/** A Fairlead in front of the engine, in a process of its own. */
export class FairleadSearch {
  readonly #target: Target
  readonly #model: string

  private constructor (target: Target, model: string) {
    this.#target = target
    this.#model = model
  }

  /** @param tokenizer folder of the engine's model @param scratch where it keeps its files */
  static async start (engineUrl: string, model: string, tokenizer: string, scratch: string): Promise<FairleadSearch> {
    const rewards = join(scratch, 'rewards')
    mkdirSync(rewards, { recursive: true })
    writeFileSync(join(rewards, `${reward}.json`), JSON.stringify({
      name: reward, description: 'Share of some common words.', kind: 'rule', rule: 'must_mention', phrases: words
    }))
    return new FairleadSearch(await startTarget(['--policy', `${engineUrl}#${model}`, '--policy-tokenizer', tokenizer,
      '--rewards-dir', rewards, '--data-dir', join(scratch, 'data')]), model)
  }

  readonly search: Search = task => timed(() => post(`${this.#target.url}/v1/chat/completions`, {
    model: this.#model,
    messages: [{ role: 'user', content: task.message }],
    max_tokens: task.newTokens,
    ignore_eos: true,
    alignment: { strategy: task.method, reward, ...alignments[task.method](task) }
  }))

  stop (): Promise<void> { return this.#target.stop() }
}

/** So many answers at a stretch, by the engine alone and in one request: what steps are compared with. */
export const plainAnswers = (engineUrl: string, model: string): Search =>
  ({ message, candidates, newTokens }) => timed(() => post(`${engineUrl}/v1/chat/completions`, {
    model,
    messages: [{ role: 'user', content: message }],
    n: candidates,
    temperature: 1,
    max_tokens: newTokens,
    ignore_eos: true
  }))

export const libraryNames = ['its_hub', 'optillm'] as const
export type LibraryName = (typeof libraryNames)[number]

/** A library in a process of its own, which is stopped while others are measured. */
export class Library {
  readonly version: string
  readonly #driver: Driver

  private constructor (driver: Driver, version: string) {
    this.#driver = driver
    this.version = version
  }

  /** @param python that has the library */
  static async start (name: LibraryName, python: string, engineUrl: string, model: string): Promise<Library> {
    const driver = join(packageRoot, 'conformance', 'versus', 'driver.py')
    const { engine, about } =
      await Driver.start([python, '-B', driver, name, `${engineUrl}/v1`, model, words.join()])
    return new Library(engine, about.version)
  }

  readonly search: Search = async task => (await this.#driver.ask<{ ms: number }>(task)).ms

  kill (): void { this.#driver.kill() }
}
