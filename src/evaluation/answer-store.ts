/**
 * The answers of an evaluation and their scores, in a folder: each configuration has a file, scores have one. What is
 * there is not drawn or scored again; a reward that has changed scores anew, since its version is part of the key.
 * Knows files and requests, no statistics.
 */
import { join } from 'node:path'
import type { LocalModel } from '../serving/served-models.js'
import { score } from '../serving/score-answers.js'
import { draw, messagesOf, type SamplingRun, type Configuration } from './sampling-runs.js'
import { Records } from './records.js'

/** A reward that scores, and the sign of the weight it steers with: doubt counts against an answer either way. */
export interface Scoring { readonly name: string, readonly weight: 1 | -1 }

interface ScoreRow {
  readonly way: string,
  readonly prompt: string,
  readonly seed: number,
  readonly reward: string,
  readonly scores: readonly number[]
}

/** Answers of one request to be scored: enough for the engine to fill its steps, few enough for its ceiling. */
const scoredAtOnce = 32

export class AnswerStore {
  readonly #served: LocalModel
  readonly #folder: string
  readonly #maxTokens: number
  readonly #draws = new Map<string, Records<SamplingRun>>()
  readonly #scores: Records<ScoreRow>
  readonly #scored: Map<string, readonly number[]>

  /** @throws RequestError for a folder with records of another model or length */
  constructor (served: LocalModel, folder: string, maxTokens: number) {
    this.#served = served
    this.#folder = folder
    this.#maxTokens = maxTokens
    this.#scores = Records.open<ScoreRow>(join(folder, 'scores.jsonl'), this.#conditions)
    this.#scored = new Map(this.#scores.rows.map(({ way, prompt, seed, reward, scores }) =>
      [JSON.stringify([way, prompt, seed, reward]), scores]))
  }

  get #conditions (): Record<string, unknown> {
    return { model: this.#served.model.fingerprint, maxTokens: this.#maxTokens }
  }

  /**
   * The answers to one prompt with one seed, drawn if they are not there.
   * @param served whose rewards steer; default the store's
   * @param schema that answers are held to as JSON; null for none. It belongs to the prompt
   */
  async draw (
    configuration: Configuration, prompt: string, seed: number, signal: AbortSignal, served = this.#served,
    schema: object | null = null
  ): Promise<SamplingRun> {
    const { name, ...how } = configuration
    let records = this.#draws.get(name)
    if (!records) {
      this.#draws.set(name,
        records = Records.open<SamplingRun>(join(this.#folder, `${name}.jsonl`), { ...this.#conditions, ...how }))
    }
    const known = records.rows.find(row => row.prompt === prompt && row.seed === seed)
    if (known) return known
    const drawn = await draw(served, configuration, prompt, seed, this.#maxTokens, signal, schema)
    records.append(drawn)
    return drawn
  }

  /**
   * Standardised outcome scores of answers as answers to the plain prompt, times the sign of the weight: one list a
   * reward.
   * @param served whose rewards are named; default the store's
   */
  async score (
    configuration: Configuration, { prompt, seed, answers }: SamplingRun, rewards: readonly Scoring[],
    signal: AbortSignal, served = this.#served
  ): Promise<Array<readonly number[]>> {
    const keys = rewards.map(({ name, weight }) => {
      const version = served.rewards.find(family => family.name === name)?.version
      return JSON.stringify([configuration.name, prompt, seed, `${name}@${version}${weight < 0 ? ' less' : ''}`])
    })
    const missing = rewards.filter((_, index) => this.#scored.get(keys[index]!)?.length !== answers.length)
    if (missing.length > 0) {
      await this.#scoreNow(prompt, answers.map(({ text }) => text), missing, signal, served,
        missing.map(reward => keys[rewards.indexOf(reward)]!))
    }
    return keys.map(key => this.#scored.get(key)!)
  }

  async #scoreNow (
    prompt: string, texts: readonly string[], rewards: readonly Scoring[], signal: AbortSignal, served: LocalModel,
    keys: readonly string[]
  ): Promise<void> {
    const scores: number[][] = rewards.map(() => [])
    for (let start = 0; start < texts.length; start += scoredAtOnce) {
      const items = texts.slice(start, start + scoredAtOnce).map(answer => ({ messages: messagesOf(prompt), answer }))
      const scored = await score(served, {
        model: served.model.id,
        rewards,
        scale: 'standardized',
        member: 'outcome',
        items,
        every: null,
        cacheSalt: '',
        fields: { rewards: '--reward', items: '--prompts' }
      }, signal)
      for (const item of scored.items) {
        for (const [index, { name, weight }] of rewards.entries()) {
          scores[index]!.push(weight * item.score.rewards[name]!.standardized)
        }
      }
    }
    for (const [index, key] of keys.entries()) {
      const [way, , seed, reward] = JSON.parse(key) as [string, string, number, string]
      this.#scores.append({ way, prompt, seed, reward, scores: scores[index]! })
      this.#scored.set(key, scores[index]!)
    }
  }
}
