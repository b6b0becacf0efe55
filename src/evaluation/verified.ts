/**
 * Verified answers: prompts whose answers a program checks. How often plain answers pass, what drawing until one passes
 * costs in the server (adaptive best-of-n with the checks as reward, constrained by a grammar where JSON is wanted), by
 * beams, and in a client that asks again and again. Answers are drawn several prompts at a time; times are taken after
 * that, alone. Knows no report.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LocalModel } from '../serving/served-models.js'
import { packageRoot } from '../package-root.js'
import { parseRewardFamily } from '../rewards/descriptor.js'
import { AnswerStore } from './answer-store.js'
import type { SamplingRun, OnProgress, Configuration } from './sampling-runs.js'
import { promptByPrompt } from './prompt-by-prompt.js'
import type { Estimate } from '../reporting/estimate.js'
import { expectedAtBest, mean, meanOverPrompts, ratioOverPrompts as ratio } from './statistics.js'
import { timedSeed, Timings, type TimedConfiguration } from './timings.js'

/** A prompt, what kind of wish it states, and the rules that all must hold. */
export interface Constraint {
  readonly kind: string, readonly prompt: string, readonly checks: ReadonlyArray<Readonly<Record<string, unknown>>>
}

/** The built-in prompts: 300, six kinds in turn. */
export function loadConstraints (): Constraint[] {
  return JSON.parse(readFileSync(join(packageRoot, 'models/evaluation/constraints.json'), 'utf8')) as Constraint[]
}

/** What the checks of a prompt are called as a reward of its requests. */
const rewardName = 'checks'

/** The served model with a prompt's checks as a reward: their minimum, so that it is 1 where all hold. */
export function withChecks (served: LocalModel, { checks }: Constraint): LocalModel {
  const rules = checks.map(check => ({ kind: 'rule', ...check }))
  const fields = rules.length === 1 ? rules[0]! : { kind: 'ensemble', combine: 'min', scorers: rules }
  return {
    ...served,
    rewards: [...served.rewards,
      parseRewardFamily(JSON.stringify({ name: rewardName, description: 'all checks hold', ...fields }), rewardName)]
  }
}

export interface VerifiedOptions {
  readonly limit: number
  /** Answers of the plain pool, and of every configuration at most. */
  readonly candidates: number
  readonly maxTokens: number
  /** Prompts, the first ones, on which every configuration is timed. */
  readonly timed: number
  /** Whether times that are there are taken anew. */
  readonly retime: boolean
  readonly folder: string
}

const checked = { rewards: [{ name: rewardName, weight: 1 }] }

/** A configuration that draws answers until one passes or the budget is used up. */
interface CheckedConfiguration {
  /** What the report calls it. */
  readonly label: string
  readonly configuration: Configuration
  /** Whether answers to prompts that want JSON are held to its schema. */
  readonly byGrammar: boolean
}

function configurationsOf (candidates: number): CheckedConfiguration[] {
  const bestOf = (name: string, stop: object): Configuration => ({
    name,
    system: null,
    alignment: {
      strategy: 'best_of_n',
      num_candidates: candidates,
      stop_when: { min_reward: 1, every: Math.min(4, candidates), ...stop },
      ...checked
    },
    answers: 1
  })
  return [
    { label: 'best_of_n, 4 at a time', configuration: bestOf('adaptive-4', {}), byGrammar: false },
    { label: 'eagerly', configuration: bestOf('eager', { eager: true }), byGrammar: false },
    { label: 'eagerly, JSON by grammar', configuration: bestOf('eager-grammar', { eager: true }), byGrammar: true },
    {
      label: 'beam_search 4×4',
      configuration: {
        name: 'beam',
        system: null,
        alignment: { strategy: 'beam_search', num_beams: 4, num_children: 4, allow_scope_mismatch: true, ...checked },
        answers: 1
      },
      byGrammar: false
    }
  ]
}

/** The schema that a prompt's answers must have as JSON; null where it wants none. */
const schemaOf = ({ checks }: Constraint): object | null =>
  checks.flatMap(({ rule, schema }) => rule === 'json_schema' ? [schema as object] : [])[0] ?? null

/** One plain answer, asked for alone. */
const plainAlone: Configuration = { name: 'plain-alone', system: null, alignment: null, answers: 1 }

/** What one configuration cost, and whether it passed. */
export interface Attempt { readonly passed: boolean, readonly tokens: number }

/** Everything of one prompt. */
export interface VerifiedPrompt {
  readonly kind: string
  /** Of the plain pool, in the order they were drawn. */
  readonly passes: readonly boolean[]
  /** Tokens of the pool's answers. */
  readonly lengths: readonly number[]
  readonly configurations: readonly Attempt[]
}

/** A client that asks for plain answers one after the other until one passes: the pool's, in their order. */
function retryOf ({ passes, lengths }: VerifiedPrompt): Attempt {
  const first = passes.indexOf(true)
  const tried = lengths.slice(0, first < 0 ? lengths.length : first + 1)
  return { passed: first >= 0, tokens: tried.reduce((sum, tokens) => sum + tokens, 0) }
}

class Verifier {
  readonly #served: LocalModel
  readonly #store: AnswerStore
  readonly #options: VerifiedOptions
  readonly #signal: AbortSignal

  constructor (served: LocalModel, options: VerifiedOptions, signal: AbortSignal) {
    this.#served = served
    this.#options = options
    this.#signal = signal
    this.#store = new AnswerStore(served, options.folder, options.maxTokens)
  }

  async #checked (
    configuration: Configuration, constraint: Constraint, schema: object | null = null
  ): Promise<{ draw: SamplingRun, passes: boolean[] }> {
    const served = withChecks(this.#served, constraint)
    const draw = await this.#store.draw(configuration, constraint.prompt, timedSeed, this.#signal, served, schema)
    const [scores] = await this.#store.score(configuration, draw, [{ name: rewardName, weight: 1 }], this.#signal,
      served)
    // Standardised, all checks holding is 1 and none −1.
    return { draw, passes: scores!.map(score => score > 0.999) }
  }

  async prompt (constraint: Constraint): Promise<VerifiedPrompt> {
    const { candidates } = this.#options
    const { draw, passes } = await this.#checked({ name: 'plain', system: null, alignment: null, answers: candidates },
      constraint)
    const configurations = []
    for (const { configuration, byGrammar } of configurationsOf(candidates)) {
      const { draw: { generatedTokens: tokens }, passes: [passed] } =
        await this.#checked(configuration, constraint, byGrammar ? schemaOf(constraint) : null)
      configurations.push({ passed: passed!, tokens })
    }
    return { kind: constraint.kind, passes, lengths: draw.answers.map(({ tokens }) => tokens), configurations }
  }

  /** Times on the first prompts: one plain answer, then the configurations, ms. */
  async times (constraints: readonly Constraint[], onProgress: OnProgress): Promise<Array<readonly number[]>> {
    const { folder, maxTokens, retime, candidates } = this.#options
    const timings = new Timings(this.#served.model.fingerprint, folder, maxTokens, retime)
    const turns = constraints.map(constraint => {
      const served = withChecks(this.#served, constraint)
      const configurations = configurationsOf(candidates)
        .map(({ configuration, byGrammar }): TimedConfiguration => ({
          configuration, served, schema: byGrammar ? schemaOf(constraint) : null
        }))
      return { prompt: constraint.prompt, configurations: [{ configuration: plainAlone, served }, ...configurations] }
    })
    return await timings.take(turns, this.#signal, onProgress)
  }
}

/** A configuration over all prompts. Costs are in plain answers. */
export interface ConfigurationResult {
  readonly label: string
  readonly passed: Estimate
  /** Of pass@`candidates` of plain answers. */
  readonly shareOfBest: Estimate
  readonly tokens: Estimate
  /** Over the prompts that were timed; null where none was. */
  readonly time: Estimate | null
  /** The retry loop's time over this configuration's. */
  readonly fasterThanRetry: Estimate | null
}

export interface VerifiedResult {
  readonly prompts: number
  readonly timedPrompts: number
  readonly finished: boolean
  /** pass@n of plain answers: the share of prompts on which at least one of n passes. */
  readonly passAt: ReadonlyArray<{ readonly n: number, readonly rate: Estimate }>
  readonly ways: readonly ConfigurationResult[]
  /** By kind: prompts, pass@1, pass@candidates, and what each configuration passes and draws, in plain answers. */
  readonly kinds: ReadonlyArray<{
    readonly kind: string,
    readonly prompts: number,
    readonly passAt1: number,
    readonly passAtMost: number,
    readonly ways: ReadonlyArray<{ readonly passed: number, readonly tokens: number }>
  }>
}

const passAt = ({ passes }: VerifiedPrompt, n: number): number =>
  expectedAtBest(passes.map(Number), passes.map(Number), n)

/**
 * One prompt's times, ms: a plain answer, the retry loop, the configurations. The retry loop's are its tokens at the
 * speed of that plain answer, which is the pool's first.
 */
interface Timed { readonly plain: number, readonly all: readonly number[] }

function timedOf (prompt: VerifiedPrompt, [plain, ...configurations]: readonly number[]): Timed {
  return { plain: plain!, all: [retryOf(prompt).tokens * plain! / prompt.lengths[0]!, ...configurations] }
}

/**
 * @param done at least one prompt
 * @param turns times of the first of them: a plain answer, then the configurations, ms
 */
export function analyseVerified (
  done: readonly VerifiedPrompt[], turns: ReadonlyArray<readonly number[]>, candidates: number, finished: boolean
): VerifiedResult {
  const sizes = [1, 2, 4, 8, 16, 32, 64, 128].filter(n => n < candidates).concat(candidates)
  const labels = ['retry loop', ...configurationsOf(candidates).map(({ label }) => label)]
  const attempt = (prompt: VerifiedPrompt, index: number): Attempt =>
    index === 0 ? retryOf(prompt) : prompt.configurations[index - 1]!
  const times = turns.map((turn, index) => timedOf(done[index]!, turn))
  const timeRatio = (above: (times: Timed) => number, below: (times: Timed) => number): Estimate | null =>
    times.length === 0 ? null : ratio(times, above, below)
  const plainTokens = ({ lengths }: VerifiedPrompt): number => mean(lengths)
  return {
    prompts: done.length,
    timedPrompts: times.length,
    finished,
    passAt: sizes.map(n => ({ n, rate: meanOverPrompts(done.map(prompt => passAt(prompt, n))) })),
    ways: labels.map((label, index) => ({
      label,
      passed: meanOverPrompts(done.map(prompt => Number(attempt(prompt, index).passed))),
      shareOfBest: ratio(done, prompt => Number(attempt(prompt, index).passed), prompt => passAt(prompt, candidates)),
      tokens: ratio(done, prompt => attempt(prompt, index).tokens, plainTokens),
      time: timeRatio(({ all }) => all[index]!, ({ plain }) => plain),
      fasterThanRetry: timeRatio(({ all }) => all[0]!, ({ all }) => all[index]!)
    })),
    kinds: [...new Set(done.map(({ kind }) => kind))].map(kind => {
      const own = done.filter(prompt => prompt.kind === kind)
      return {
        kind,
        prompts: own.length,
        passAt1: mean(own.map(prompt => passAt(prompt, 1))),
        passAtMost: mean(own.map(prompt => passAt(prompt, candidates))),
        ways: labels.map((_, index) => ({
          passed: mean(own.map(prompt => Number(attempt(prompt, index).passed))),
          tokens: mean(own.map(prompt => attempt(prompt, index).tokens)) / mean(own.map(plainTokens))
        }))
      }
    })
  }
}

/**
 * @param signal aborting it ends the run with what is done
 * @throws RequestError for a folder of other records; the signal's reason where no prompt was done
 */
export async function evaluateVerified (
  served: LocalModel, options: VerifiedOptions, signal: AbortSignal, onProgress: OnProgress
): Promise<VerifiedResult> {
  const verifier = new Verifier(served, options, signal)
  const constraints = loadConstraints().slice(0, options.limit)
  let turns: Array<readonly number[]> = []
  const done = await promptByPrompt(constraints, signal, onProgress, constraint => verifier.prompt(constraint),
    async () => { turns = await verifier.times(constraints.slice(0, options.timed), onProgress) })
  return analyseVerified(done, turns, options.candidates, !signal.aborted)
}
