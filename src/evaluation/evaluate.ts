/**
 * Runs an evaluation: prompt by prompt it draws and scores the plain pool and every way beside it, several prompts side
 * by side; presses the panel's rewards on the same pools; then times every way, alone. Interrupted, it analyses the
 * prompts that are done. Knows no report.
 */
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import type { ServedModel } from '../serving/served-models.js'
import type { RewardFamily } from '../rewards/descriptor.js'
import type { EnsembleDescriptor } from '../rewards/kinds/ensemble.js'
import { minExamples } from '../fitting/fit-reward.js'
import { analyse, type Analysis, type DonePrompt, type TimedTurn, type WayAnswers } from './analysis.js'
import { AnswerStore, type Scoring } from './answer-store.js'
import { criteria, judgeNames, loadJudge, loadOutcomeOnly } from './criteria.js'
import type { Draw, OnProgress, Way } from './drawing.js'
import { analysePanel, type PanelCurve, type PanelScores } from './panel-analysis.js'
import { noisyPairs, smallFits, trainingAnswers, trainingPrompts, variantsOf, type Variant } from './panel.js'
import type { ScoredAnswer } from './pools.js'
import { promptByPrompt } from './prompt-by-prompt.js'
import { Timings } from './timings.js'
import { comparedWays, plainPool, type ComparedWay } from './ways.js'

export interface EvaluationOptions {
  readonly reward: string
  /** Its sign is what matters; its size weighs the reward where a strength meets it. Not 0. */
  readonly weight: number
  /** Name of a judge in the box, or of another reward. */
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
  /** Whether the panel is measured too. */
  readonly panel: boolean
  /** Prompts, the first ones, on which every way is timed. */
  readonly timed: number
  /** Whether times that are there are taken anew. */
  readonly retime: boolean
  /** Folder of pools, runs and scores. */
  readonly folder: string
}

export interface Evaluation {
  readonly analysis: Analysis
  readonly panel: readonly PanelCurve[]
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
type Judge = (way: Way, draw: Draw) => Promise<readonly number[]>

function findReward (host: ServedModel, name: string): RewardFamily {
  const family = host.rewards.find(one => one.name === name)
  if (!family) {
    throw new RequestError('reward_not_found',
      `reward "${name}" does not exist; there are: ${host.rewards.map(one => one.name).join(', ')}`,
      { param: 'reward' })
  }
  return family
}

class Evaluator {
  readonly #host: ServedModel
  readonly #options: EvaluationOptions
  readonly #signal: AbortSignal
  readonly #store: AnswerStore
  readonly #judge: Judge
  /** Of this reward, weight and version, relative to the store's. */
  readonly #name: string
  readonly #ways: readonly ComparedWay[]
  /** The host with the reward's version that was fitted on whole answers only, where there is one. */
  readonly #withOutcomeOnly: ServedModel
  readonly #pool: Way
  readonly #proxy: Scoring

  constructor (host: ServedModel, options: EvaluationOptions, signal: AbortSignal) {
    const { reward, weight, judge, wish, maxTokens, candidates, folder } = options
    this.#host = host
    this.#options = options
    this.#signal = signal
    this.#store = new AnswerStore(host, folder, maxTokens)
    this.#proxy = { name: reward, weight: weight < 0 ? -1 : 1 }
    this.#judge = this.#judgeOf(judge)
    const family = findReward(host, reward)
    this.#name = `${reward}_${weight}-${family.version}`
    const outcomeOnly = loadOutcomeOnly(reward)
    this.#withOutcomeOnly = outcomeOnly ? { ...host, rewards: [...host.rewards, outcomeOnly] } : host
    this.#ways = comparedWays(this.#name,
      { name: reward, weight, outcomeOnly: outcomeOnly?.name ?? null, qHead: family.members.includes('next_token') },
      wish, maxTokens, candidates)
    this.#pool = plainPool(candidates)
  }

  get ways (): readonly ComparedWay[] { return this.#ways }

  #hostOf ({ outcomeOnly }: ComparedWay): ServedModel { return outcomeOnly ? this.#withOutcomeOnly : this.#host }

  #judgeOf (name: string): Judge {
    const sign = this.#proxy.weight
    if (judgeNames.includes(name)) {
      const classifier = loadJudge(name)
      return async (_way, { answers }) => answers.map(({ text }) => sign * classifier.score(text))
    }
    findReward(this.#host, name)
    return async (way, draw) => (await this.#store.score(way, draw, [{ name, weight: sign }], this.#signal))[0]!
  }

  /** A draw with its scores. */
  async #scored (
    way: Way, prompt: string, seed: number, host = this.#host
  ): Promise<{ draw: Draw, answers: ScoredAnswer[] }> {
    const draw = await this.#store.draw(way, prompt, seed, this.#signal, host)
    const [[proxy], judge] = [await this.#store.score(way, draw, [this.#proxy], this.#signal),
      await this.#judge(way, draw)]
    return {
      draw, answers: draw.answers.map((answer, index) => ({ ...answer, proxy: proxy![index]!, judge: judge[index]! }))
    }
  }

  async #way (compared: ComparedWay, prompt: string): Promise<WayAnswers | null> {
    if (compared.pooled !== null) return null
    const seeds = Array.from({ length: this.#options.seeds * compared.draws }, (_, index) => index + 1)
    const runs = await Promise.all(seeds.map(seed => this.#scored(compared.way, prompt, seed, this.#hostOf(compared))))
    const average = (pick: (draw: Draw) => number): number =>
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
    const ways = []
    for (const way of this.#ways) ways.push(await this.#way(way, prompt))
    return { prompt, plain: answers, ways }
  }

  /** Every way's time on the first prompts, in turns, one request at a time. */
  async times (onProgress: OnProgress): Promise<TimedTurn[]> {
    const { folder, timed, retime, prompts, maxTokens } = this.#options
    const timings = new Timings(this.#host.model.fingerprint, join(folder, this.#name), maxTokens, retime)
    const ways = this.#ways.map(compared => ({ way: compared.way, host: this.#hostOf(compared) }))
    return await timings.take(prompts.slice(0, timed).map(prompt => ({ prompt, ways })), this.#signal, onProgress)
  }

  async #panelScores (
    group: string, variants: readonly Variant[], weight: 1 | -1, done: readonly DonePrompt[], onProgress: OnProgress
  ): Promise<PanelScores[]> {
    const host = { ...this.#host, rewards: [...this.#host.rewards, ...variants.map(({ family }) => family)] }
    const rewards = variants.map(({ family: { name } }) => ({ name, weight }))
    const columns: Array<Array<readonly number[]>> = []
    for (const [index, { prompt }] of done.entries()) {
      onProgress(`panel: ${group}`, index, done.length)
      columns.push(await this.#store.score(this.#pool, await this.#store.draw(this.#pool, prompt, 0, this.#signal),
        rewards, this.#signal, host))
    }
    return variants.map(({ label }, index) => ({ group, label, scores: columns.map(scores => scores[index]!) }))
  }

  /** The ensemble that belongs to the reward, if there is one. */
  #ensemble (): (EnsembleDescriptor & { readonly name: string }) | null {
    const { reward } = this.#options
    const descriptor = findReward(this.#host, criteria[reward]?.ensemble ?? reward).descriptor
    return descriptor.kind === 'ensemble' ? descriptor : null
  }

  /** None where the judge likes too many answers equally to tell pairs apart. */
  async #smallFits (onProgress: OnProgress): Promise<Variant[]> {
    const { prompts, limit, folder } = this.#options
    const way: Way = { name: 'training', system: null, alignment: null, answers: trainingAnswers }
    const unseen = prompts.slice(limit, limit + trainingPrompts)
    const draws: Draw[] = []
    const judged = []
    for (const prompt of unseen) {
      onProgress('panel: training answers', draws.length, unseen.length)
      draws.push(await this.#store.draw(way, prompt, 0, this.#signal))
      judged.push(await this.#judge(way, draws.at(-1)!))
    }
    const pairs = noisyPairs(draws, judged)
    if (pairs.length < minExamples) return []
    const fits = await smallFits(this.#host, pairs, join(folder, this.#name), this.#signal,
      ({ phase, done, total }) => { onProgress(`panel: fitting, ${phase}`, done, total) })
    return variantsOf(fits, 'small-fits')
  }

  /** The panel on the pools of prompts that are done. Small fits need prompts beyond those that are evaluated. */
  async panel (done: readonly DonePrompt[], onProgress: OnProgress): Promise<PanelCurve[]> {
    const scores: PanelScores[] = []
    const ensemble = this.#ensemble()
    if (ensemble) {
      scores.push(...await this.#panelScores(ensemble.name, variantsOf(ensemble, ensemble.name.slice(0, 40)),
        this.#proxy.weight, done, onProgress))
    }
    if (this.#options.prompts.length >= this.#options.limit + trainingPrompts) {
      scores.push(...await this.#panelScores('small fits', await this.#smallFits(onProgress), 1, done, onProgress))
    }
    return analysePanel(scores, done.map(({ plain }) => plain.map(({ judge }) => judge)))
  }
}

/**
 * Evaluates a reward.
 * @param signal aborting it ends the evaluation with what is done
 * @throws RequestError for names that do not exist and a folder of other records; the signal's reason where no prompt
 * was done
 */
export async function evaluate (
  host: ServedModel, options: EvaluationOptions, signal: AbortSignal, onProgress: OnProgress
): Promise<Evaluation> {
  const evaluator = new Evaluator(host, options, signal)
  let panel: PanelCurve[] = []
  let turns: TimedTurn[] = []
  const done = await promptByPrompt(options.prompts.slice(0, options.limit), signal, onProgress,
    prompt => evaluator.prompt(prompt), async done => {
      if (options.panel) panel = await evaluator.panel(done, onProgress)
      turns = await evaluator.times(onProgress)
    })
  return { analysis: analyse(evaluator.ways, done, turns), panel, finished: !signal.aborted }
}
