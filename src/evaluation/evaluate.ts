/**
 * Runs an evaluation: prompt by prompt it draws and scores the plain pool and every configuration beside it, several
 * prompts side by side; runs the over-optimisation study on the same pools; then times every configuration, alone.
 * Interrupted, it analyses the prompts that are done. Knows no report.
 */
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import type { LocalModel } from '../serving/served-models.js'
import type { RewardFamily } from '../rewards/descriptor.js'
import type { EnsembleDescriptor } from '../rewards/kinds/ensemble.js'
import { minExamples } from '../fitting/sample-sets.js'
import { analyse, type Analysis, type DonePrompt, type TimedTurn, type ConfigurationAnswers } from './analysis.js'
import { AnswerStore, type Scoring } from './answer-store.js'
import { criteria, judgeNames, loadJudge, loadOutcomeOnly } from './criteria.js'
import type { SamplingRun, OnProgress, Configuration } from './sampling-runs.js'
import { analyseOverOptimisation, type ProxyCurve, type ProxyScores } from './over-optimisation-analysis.js'
import {
  noisyPairs, smallFits, trainingAnswers, trainingPrompts, variantsOf, type Variant
} from './over-optimisation.js'
import type { ScoredAnswer } from './pools.js'
import { promptByPrompt } from './prompt-by-prompt.js'
import { Timings } from './timings.js'
import { comparedConfigurations, plainPool, type ComparedConfiguration } from './configurations.js'

export interface EvaluationOptions {
  readonly reward: string
  /** Its sign is what matters; its size weighs the reward where a strength meets it. Not 0. */
  readonly weight: number
  /** Name of a built-in judge, or of another reward. */
  readonly judge: string
  /** System message of the prompted baseline; null for none. */
  readonly wish: string | null
  /** All prompts of the set: the first `limit` are evaluated, later ones train the small fits. */
  readonly prompts: readonly string[]
  readonly limit: number
  /** Answers of the plain pool, to each prompt. */
  readonly candidates: number
  readonly seeds: number
  readonly maxTokens: number
  /** Whether the over-optimisation study is run too. */
  readonly panel: boolean
  /** Prompts, the first ones, on which every configuration is timed. */
  readonly timed: number
  /** Whether times that are there are taken anew. */
  readonly retime: boolean
  /** Folder of pools, runs and scores. */
  readonly folder: string
}

export interface Evaluation {
  readonly analysis: Analysis
  readonly panel: readonly ProxyCurve[]
  /** False where it was interrupted before its end. */
  readonly finished: boolean
}

/** What was evaluated, for the report's head. */
export interface Evaluated extends Omit<EvaluationOptions, 'prompts' | 'folder' | 'retime'> {
  /** Name or file of the prompt set. */
  readonly promptSet: string
  readonly fingerprint: string
  readonly rewardVersion: string
  /** What the reward was fitted on and reads; null where its descriptor does not say. */
  readonly rewardFacts: { readonly data: string, readonly reads: string } | null
}

/** Scores a draw's answers; larger is what is wished for. */
type Judge = (configuration: Configuration, draw: SamplingRun) => Promise<readonly number[]>

function findReward (served: LocalModel, name: string): RewardFamily {
  const family = served.rewards.find(one => one.name === name)
  if (!family) {
    throw new RequestError('reward_not_found',
      `reward "${name}" does not exist; there are: ${served.rewards.map(one => one.name).join(', ')}`,
      { param: 'reward' })
  }
  return family
}

class Evaluator {
  readonly #served: LocalModel
  readonly #options: EvaluationOptions
  readonly #signal: AbortSignal
  readonly #store: AnswerStore
  readonly #judge: Judge
  /** Of this reward, weight and version, relative to the store's. */
  readonly #name: string
  readonly #configurations: readonly ComparedConfiguration[]
  /** The served model with the reward's version that was fitted on whole answers only, where there is one. */
  readonly #withOutcomeOnly: LocalModel
  readonly #pool: Configuration
  readonly #proxy: Scoring

  constructor (served: LocalModel, options: EvaluationOptions, signal: AbortSignal) {
    const { reward, weight, judge, wish, maxTokens, candidates, folder } = options
    this.#served = served
    this.#options = options
    this.#signal = signal
    this.#store = new AnswerStore(served, folder, maxTokens)
    this.#proxy = { name: reward, weight: weight < 0 ? -1 : 1 }
    this.#judge = this.#judgeOf(judge)
    const family = findReward(served, reward)
    this.#name = `${reward}_${weight}-${family.version}`
    const outcomeOnly = loadOutcomeOnly(reward)
    this.#withOutcomeOnly = outcomeOnly ? { ...served, rewards: [...served.rewards, outcomeOnly] } : served
    this.#configurations = comparedConfigurations(this.#name,
      { name: reward, weight, outcomeOnly: outcomeOnly?.name ?? null, qHead: family.members.includes('next_token') },
      wish, maxTokens, candidates)
    this.#pool = plainPool(candidates)
  }

  get configurations (): readonly ComparedConfiguration[] { return this.#configurations }

  #servedOf (
    { outcomeOnly }: ComparedConfiguration
  ): LocalModel { return outcomeOnly ? this.#withOutcomeOnly : this.#served }

  #judgeOf (name: string): Judge {
    const sign = this.#proxy.weight
    if (judgeNames.includes(name)) {
      const classifier = loadJudge(name)
      return async (_way, { answers }) => answers.map(({ text }) => sign * classifier.score(text))
    }
    findReward(this.#served, name)
    return async (configuration, draw) =>
      (await this.#store.score(configuration, draw, [{ name, weight: sign }], this.#signal))[0]!
  }

  /** A draw with its scores. */
  async #scored (
    configuration: Configuration, prompt: string, seed: number, served = this.#served
  ): Promise<{ draw: SamplingRun, answers: ScoredAnswer[] }> {
    const draw = await this.#store.draw(configuration, prompt, seed, this.#signal, served)
    const [[proxy], judge] = [await this.#store.score(configuration, draw, [this.#proxy], this.#signal),
      await this.#judge(configuration, draw)]
    return {
      draw, answers: draw.answers.map((answer, index) => ({ ...answer, proxy: proxy![index]!, judge: judge[index]! }))
    }
  }

  async #answersOf (compared: ComparedConfiguration, prompt: string): Promise<ConfigurationAnswers | null> {
    if (compared.pooled !== null) return null
    const seeds = Array.from({ length: this.#options.seeds * compared.draws }, (_, index) => index + 1)
    const runs =
      await Promise.all(seeds.map(seed => this.#scored(compared.configuration, prompt, seed, this.#servedOf(compared))))
    const average = (pick: (draw: SamplingRun) => number): number =>
      runs.reduce((sum, { draw }) => sum + pick(draw), 0) / runs.length
    const known = runs.every(({ draw }) => draw.kl.value !== null)
    return {
      answers: runs.flatMap(({ answers }) => answers),
      generatedTokens: average(draw => draw.generatedTokens),
      kl: known ? average(draw => draw.kl.value!) : null,
      klKind: runs[0]!.draw.kl.kind
    }
  }

  async prompt (prompt: string): Promise<DonePrompt> {
    const { answers } = await this.#scored(this.#pool, prompt, 0)
    const configurations = []
    for (const configuration of this.#configurations) configurations.push(await this.#answersOf(configuration, prompt))
    return { prompt, plain: answers, configurations }
  }

  /** Every configuration's time on the first prompts, round-robin, one request at a time. */
  async times (onProgress: OnProgress): Promise<TimedTurn[]> {
    const { folder, timed, retime, prompts, maxTokens } = this.#options
    const timings = new Timings(this.#served.model.fingerprint, join(folder, this.#name), maxTokens, retime)
    const configurations = this.#configurations.map(compared => ({
      configuration: compared.configuration, served: this.#servedOf(compared)
    }))
    return await timings.take(prompts.slice(0, timed).map(prompt => ({ prompt, configurations })), this.#signal,
      onProgress)
  }

  async #proxyScores (
    group: string, variants: readonly Variant[], weight: 1 | -1, done: readonly DonePrompt[], onProgress: OnProgress
  ): Promise<ProxyScores[]> {
    const served = { ...this.#served, rewards: [...this.#served.rewards, ...variants.map(({ family }) => family)] }
    const rewards = variants.map(({ family: { name } }) => ({ name, weight }))
    const columns: Array<Array<readonly number[]>> = []
    for (const [index, { prompt }] of done.entries()) {
      onProgress(`over-optimisation: ${group}`, index, done.length)
      columns.push(await this.#store.score(this.#pool, await this.#store.draw(this.#pool, prompt, 0, this.#signal),
        rewards, this.#signal, served))
    }
    return variants.map(({ label }, index) => ({ group, label, scores: columns.map(scores => scores[index]!) }))
  }

  /** The ensemble that belongs to the reward, if there is one. */
  #ensemble (): (EnsembleDescriptor & { readonly name: string }) | null {
    const { reward } = this.#options
    const descriptor = findReward(this.#served, criteria[reward]?.ensemble ?? reward).descriptor
    return descriptor.kind === 'ensemble' ? descriptor : null
  }

  /** None where too few pairs are left because the judge scores their answers equally. */
  async #smallFits (onProgress: OnProgress): Promise<Variant[]> {
    const { prompts, limit, folder } = this.#options
    const configuration: Configuration = { name: 'training', system: null, alignment: null, answers: trainingAnswers }
    const unseen = prompts.slice(limit, limit + trainingPrompts)
    const draws: SamplingRun[] = []
    const judged = []
    for (const prompt of unseen) {
      onProgress('over-optimisation: training answers', draws.length, unseen.length)
      draws.push(await this.#store.draw(configuration, prompt, 0, this.#signal))
      judged.push(await this.#judge(configuration, draws.at(-1)!))
    }
    const pairs = noisyPairs(draws, judged)
    if (pairs.length < minExamples) return []
    const fits = await smallFits(this.#served, pairs, join(folder, this.#name), this.#signal,
      ({ phase, done, total }) => { onProgress(`over-optimisation: fitting, ${phase}`, done, total) })
    return variantsOf(fits, 'small-fits')
  }

  /**
   * The over-optimisation study on the pools of prompts that are done. Small fits need prompts beyond those that are
   * evaluated.
   */
  async overOptimisation (done: readonly DonePrompt[], onProgress: OnProgress): Promise<ProxyCurve[]> {
    const scores: ProxyScores[] = []
    const ensemble = this.#ensemble()
    if (ensemble) {
      scores.push(...await this.#proxyScores(ensemble.name, variantsOf(ensemble, ensemble.name.slice(0, 40)),
        this.#proxy.weight, done, onProgress))
    }
    if (this.#options.prompts.length >= this.#options.limit + trainingPrompts) {
      scores.push(...await this.#proxyScores('small fits', await this.#smallFits(onProgress), 1, done, onProgress))
    }
    return analyseOverOptimisation(scores, done.map(({ plain }) => plain.map(({ judge }) => judge)))
  }
}

/**
 * Evaluates a reward.
 * @param signal aborting it ends the evaluation with what is done
 * @throws RequestError for names that do not exist and a folder of other records; the signal's reason where no prompt
 * was done
 */
export async function evaluate (
  served: LocalModel, options: EvaluationOptions, signal: AbortSignal, onProgress: OnProgress
): Promise<Evaluation> {
  const evaluator = new Evaluator(served, options, signal)
  let panel: ProxyCurve[] = []
  let turns: TimedTurn[] = []
  const done = await promptByPrompt(options.prompts.slice(0, options.limit), signal, onProgress,
    prompt => evaluator.prompt(prompt), async done => {
      if (options.panel) panel = await evaluator.overOptimisation(done, onProgress)
      turns = await evaluator.times(onProgress)
    })
  return { analysis: analyse(evaluator.configurations, done, turns), panel, finished: !signal.aborted }
}
