/**
 * Verified answers: prompts whose answers a program checks. How often plain answers pass, what drawing until one passes costs in the server (adaptive
 * best-of-n with the checks as reward), by beams, and in a client that asks again and again. Knows no report.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from '../inference/host.js'
import { packageRoot } from '../package-root.js'
import { parseRewardFamily } from '../rewards/descriptor.js'
import { AnswerStore } from './answer-store.js'
import type { Draw, Way } from './drawing.js'
import type { OnProgress } from './evaluate.js'
import { expectedAtBest, mean, meanOverPrompts, overPrompts, type Estimate } from './statistics.js'

/** A prompt, what kind of wish it states, and the rules that all must hold. */
export interface Constraint { readonly kind: string, readonly prompt: string, readonly checks: ReadonlyArray<Readonly<Record<string, unknown>>> }

/** The prompts in the box: 300, six kinds in turn. */
export function loadConstraints (): Constraint[] {
  return JSON.parse(readFileSync(join(packageRoot, 'models/evaluation/constraints.json'), 'utf8')) as Constraint[]
}

/** What the checks of a prompt are called as a reward of its requests. */
const rewardName = 'checks'

/** The host with a prompt's checks as a reward: the least of them, so that it is 1 where all hold. */
export function withChecks (host: Host, { checks }: Constraint): Host {
  const rules = checks.map(check => ({ kind: 'rule', ...check }))
  const fields = rules.length === 1 ? rules[0]! : { kind: 'ensemble', combine: 'min', scorers: rules }
  return { ...host, rewards: [...host.rewards, parseRewardFamily(JSON.stringify({ name: rewardName, description: 'all checks hold', ...fields }), rewardName)] }
}

export interface VerifiedOptions {
  readonly limit: number
  /** Answers of the plain pool, and of every way at most. */
  readonly candidates: number
  readonly maxTokens: number
  readonly folder: string
}

const checked = { rewards: [{ name: rewardName, weight: 1 }] }

/** Ways that draw answers until one passes, or spend a budget: by the label that the report shows. */
const waysOf = (candidates: number): Readonly<Record<string, Way>> => ({
  ...Object.fromEntries([4, 8].map(every => [`best_of_n, ${every} at a time`, { name: `adaptive-${every}`, system: null, alignment: { strategy: 'best_of_n', num_candidates: candidates, stop_when: { min_reward: 1, every: Math.min(every, candidates) }, ...checked }, answers: 1 }])),
  'beam_search 4×4': { name: 'beam', system: null, alignment: { strategy: 'beam_search', num_beams: 4, num_children: 4, allow_scope_mismatch: true, ...checked }, answers: 1 }
})

/** What one way of getting an answer cost, and whether it passed. */
export interface Attempt { readonly passed: boolean, readonly tokens: number, readonly ms: number }

/** Everything of one prompt. */
export interface VerifiedPrompt {
  readonly kind: string
  /** Of the plain pool, in the order they were drawn. */
  readonly passes: readonly boolean[]
  /** One plain answer, asked for alone. */
  readonly plain: Attempt
  /** A client that asks for plain answers one after the other until one passes, `candidates` times at most. */
  readonly retry: Attempt
  readonly ways: readonly Attempt[]
}

/** The retry loop, replayed on the pool: its tokens are the pool's, its time theirs at the speed of a plain answer alone. */
function retryOf ({ answers }: Draw, passes: readonly boolean[], plain: Attempt): Attempt {
  const first = passes.indexOf(true)
  const tried = answers.slice(0, first < 0 ? answers.length : first + 1)
  const tokens = tried.reduce((sum, one) => sum + one.tokens, 0)
  return { passed: first >= 0, tokens, ms: tokens * plain.ms / plain.tokens }
}

class Verifier {
  readonly #host: Host
  readonly #store: AnswerStore
  readonly #options: VerifiedOptions
  readonly #signal: AbortSignal

  constructor (host: Host, options: VerifiedOptions, signal: AbortSignal) {
    this.#host = host
    this.#options = options
    this.#signal = signal
    this.#store = new AnswerStore(host, options.folder, options.maxTokens)
  }

  async #checked (way: Way, constraint: Constraint): Promise<{ draw: Draw, passes: boolean[] }> {
    const host = withChecks(this.#host, constraint)
    const draw = await this.#store.draw(way, constraint.prompt, 1, this.#signal, host)
    const [scores] = await this.#store.score(way, draw, [{ name: rewardName, weight: 1 }], this.#signal, host)
    // Standardised, all checks holding is 1 and none −1.
    return { draw, passes: scores!.map(score => score > 0.999) }
  }

  async #attempt (way: Way, constraint: Constraint): Promise<Attempt> {
    const { draw: { generatedTokens, ms }, passes } = await this.#checked(way, constraint)
    return { passed: passes[0]!, tokens: generatedTokens, ms }
  }

  async prompt (constraint: Constraint): Promise<VerifiedPrompt> {
    const { candidates } = this.#options
    const { draw, passes } = await this.#checked({ name: 'plain', system: null, alignment: null, answers: candidates }, constraint)
    const plain = await this.#attempt({ name: 'plain-alone', system: null, alignment: null, answers: 1 }, constraint)
    const ways = []
    for (const way of Object.values(waysOf(candidates))) ways.push(await this.#attempt(way, constraint))
    return { kind: constraint.kind, passes, plain, retry: retryOf(draw, passes, plain), ways }
  }
}

/** A way over all prompts. Costs are in plain answers asked for alone. */
export interface WayResult {
  readonly label: string
  readonly passed: Estimate
  /** Of pass@`candidates` of plain answers. */
  readonly shareOfBest: Estimate
  readonly tokens: Estimate
  readonly time: Estimate
  /** The retry loop's time over this way's. */
  readonly fasterThanRetry: Estimate
}

export interface VerifiedResult {
  readonly prompts: number
  readonly finished: boolean
  /** pass@n of plain answers: the share of prompts on which at least one of n passes. */
  readonly passAt: ReadonlyArray<{ readonly n: number, readonly rate: Estimate }>
  readonly ways: readonly WayResult[]
  /** By kind: prompts, pass@1, pass@candidates, and what each way passes. */
  readonly kinds: ReadonlyArray<{ readonly kind: string, readonly prompts: number, readonly passAt1: number, readonly passAtMost: number, readonly ways: readonly number[] }>
}

const passAt = ({ passes }: VerifiedPrompt, n: number): number => expectedAtBest(passes.map(Number), passes.map(Number), n)

/** @param done at least one prompt */
export function analyseVerified (done: readonly VerifiedPrompt[], candidates: number, finished: boolean): VerifiedResult {
  const sizes = [1, 2, 4, 8, 16, 32, 64, 128].filter(n => n < candidates).concat(candidates)
  const attempts: ReadonlyArray<readonly [string, (prompt: VerifiedPrompt) => Attempt]> = [
    ['plain', prompt => prompt.plain],
    ['retry loop', prompt => prompt.retry],
    ...Object.keys(waysOf(candidates)).map((label, index) => [label, (prompt: VerifiedPrompt) => prompt.ways[index]!] as const)
  ]
  const ratio = (above: (prompt: VerifiedPrompt) => number, below: (prompt: VerifiedPrompt) => number): Estimate => overPrompts(done, items => mean(items.map(above)) / mean(items.map(below)))
  return {
    prompts: done.length,
    finished,
    passAt: sizes.map(n => ({ n, rate: meanOverPrompts(done.map(prompt => passAt(prompt, n))) })),
    ways: attempts.map(([label, of]) => ({
      label,
      passed: meanOverPrompts(done.map(prompt => Number(of(prompt).passed))),
      shareOfBest: ratio(prompt => Number(of(prompt).passed), prompt => passAt(prompt, candidates)),
      tokens: ratio(prompt => of(prompt).tokens, prompt => prompt.plain.tokens),
      time: ratio(prompt => of(prompt).ms, prompt => prompt.plain.ms),
      fasterThanRetry: ratio(prompt => prompt.retry.ms, prompt => of(prompt).ms)
    })),
    kinds: [...new Set(done.map(({ kind }) => kind))].map(kind => {
      const own = done.filter(prompt => prompt.kind === kind)
      return { kind, prompts: own.length, passAt1: mean(own.map(prompt => passAt(prompt, 1))), passAtMost: mean(own.map(prompt => passAt(prompt, candidates))), ways: attempts.slice(2).map(([, of]) => mean(own.map(prompt => Number(of(prompt).passed)))) }
    })
  }
}

/**
 * @param signal aborting it ends the run with what is done
 * @throws RequestError for a folder of other records; the signal's reason where no prompt was done
 */
export async function evaluateVerified (host: Host, options: VerifiedOptions, signal: AbortSignal, onProgress: OnProgress): Promise<VerifiedResult> {
  const verifier = new Verifier(host, options, signal)
  const constraints = loadConstraints().slice(0, options.limit)
  const done: VerifiedPrompt[] = []
  try {
    for (const constraint of constraints) {
      onProgress('prompts', done.length, constraints.length)
      done.push(await verifier.prompt(constraint))
    }
  } catch (error) {
    if (!signal.aborted || done.length === 0) throw error
  }
  return analyseVerified(done, options.candidates, !signal.aborted)
}
