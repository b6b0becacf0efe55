/**
 * Figures about strategies on a real model, with a reward weighed −1 unless told otherwise (plain reviews are mostly positive: steering to critical ones shows).
 *
 *   node dist/scripts/strategy-figures.js --part order|replay|cost [--count 4] [--max-tokens 48] [--reward positive] [--weight -1]
 *
 * order   the reward of best-of-n for n of 1 to 64, drawn, against its estimate from one pool of 64 of another seed
 * replay  speculative rejection on pools of 16 recorded with their rewards at every checkpoint: share of best-of-16's gain kept, and of its tokens
 * cost    time and tokens of each strategy against plain sampling, in turns; run it on an idle machine
 */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { loadConfig } from '../src/config.js'
import { parseAlignment } from '../src/decoding/parameters.js'
import type { DecodeResult } from '../src/decoding/runtime.js'
import { loadPrompts } from '../src/evaluation/prompt-sets.js'
import { mean, meanOverPrompts, overPrompts, type Estimate } from '../src/evaluation/statistics.js'
import { generate } from '../src/inference/generation.js'
import { createHost, type Host } from '../src/inference/host.js'

const { values: options } = parseArgs({
  options: {
    part: { type: 'string' },
    prompts: { type: 'string', default: 'reviews' },
    count: { type: 'string', default: '4' },
    'max-tokens': { type: 'string', default: '48' },
    reward: { type: 'string', default: 'positive' },
    weight: { type: 'string', default: '-1' }
  }
})
const maxTokens = Number(options['max-tokens'])
const rewards = [{ name: options.reward, weight: Number(options.weight) }]
const interval = ({ value, low, high }: Estimate): string => `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`

interface Answered { readonly result: DecodeResult, readonly forwardPasses: number, readonly ms: number }

async function ask (host: Host, prompt: string, seed: number, alignment: Record<string, unknown> | null): Promise<Answered> {
  const started = performance.now()
  let result: DecodeResult | undefined
  let forwardPasses = 0
  const events = generate(host, {
    model: host.model.id,
    prompt: { messages: [{ role: 'user', content: prompt }], addGenerationPrompt: true, continueFinalMessage: false, truncate: false },
    promptLogprobs: null,
    bestOf: null,
    skipSpecialTokens: true,
    n: 1,
    seed,
    cacheSalt: '',
    grammar: null,
    alignment: alignment && parseAlignment(alignment),
    sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, frequencyPenalty: 0, presencePenalty: 0, repetitionPenalty: 1, logitBias: {}, maxTokens, minTokens: 0, stop: [], stopTokenIds: [], ignoreEos: false, includeStop: false, topLogprobs: null }
  }, new AbortController().signal)
  for await (const event of events) {
    if (event.type === 'end') result = event.result
    else if (event.type === 'usage') forwardPasses = event.usage.forwardPasses
  }
  return { result: result!, forwardPasses, ms: performance.now() - started }
}

/** Reward of best-of-n, drawn and estimated. */
async function order (host: Host, prompts: readonly string[]): Promise<Table.Table> {
  const sizes = [1, 2, 4, 8, 16, 32, 64]
  const bestOf = (prompt: string, seed: number, n: number): Promise<Answered> => ask(host, prompt, seed, { strategy: 'best_of_n', num_candidates: n, rewards })
  const estimated: number[][] = []
  const drawn: number[][] = []
  for (const prompt of prompts) {
    const { result } = await bestOf(prompt, 1, 64)
    estimated.push((result.details['reward_by_n'] as Array<{ reward: number }>).map(one => one.reward))
    const own: number[] = []
    for (const n of sizes) own.push((await bestOf(prompt, 100 + n, n)).result.choices[0]!.score!.value)
    drawn.push(own)
  }
  const table = new Table({ style: { head: [], border: [] }, head: ['n', 'drawn', 'estimated from a pool of 64', 'drawn − estimated'] })
  for (const [index, n] of sizes.entries()) {
    table.push([n, interval(meanOverPrompts(drawn.map(one => one[index]!))), interval(meanOverPrompts(estimated.map(one => one[index]!))), interval(meanOverPrompts(drawn.map((one, prompt) => one[index]! - estimated[prompt]![index]!)))])
  }
  return table
}

/** One answer of a recorded pool. */
interface Recorded { readonly tokens: number, readonly reward: number, readonly at: ReadonlyMap<number, number> }

const poolSize = 16
/** Tokens after which pools are scored. */
const recordedAt = [4, 8, 12, 16, 24, 32]

async function record (host: Host, prompt: string): Promise<Recorded[]> {
  const { result } = await ask(host, prompt, 1, { strategy: 'speculative_rejection', num_candidates: poolSize, reject_fraction: 0, checkpoints: recordedAt, rewards, return_trace: true })
  const rewardsAt = recordedAt.map((_, round) => new Map(result.trace![Math.min(round, result.trace!.length - 1)]!.kept))
  return result.candidates.map(({ index, tokens, score }) => ({ tokens, reward: score!.value, at: new Map(recordedAt.map((checkpoint, round) => [checkpoint, rewardsAt[round]!.get(index)!])) }))
}

/** What speculative rejection of a pool returns, and the tokens that it draws. */
function replay (pool: readonly Recorded[], checkpoints: readonly number[], rejected: number): { reward: number, tokens: number } {
  let left = pool.map((one, index) => ({ one, index }))
  let tokens = 0
  for (const checkpoint of checkpoints) {
    const ranked = [...left].sort((a, b) => b.one.at.get(checkpoint)! - a.one.at.get(checkpoint)! || a.index - b.index)
    left = ranked.slice(0, Math.max(1, Math.round((1 - rejected) * ranked.length)))
    for (const { one } of ranked.slice(left.length)) tokens += Math.min(one.tokens, checkpoint)
  }
  return { reward: Math.max(...left.map(({ one }) => one.reward)), tokens: tokens + left.reduce((sum, { one }) => sum + one.tokens, 0) }
}

async function replays (host: Host, prompts: readonly string[]): Promise<Table.Table> {
  const pools: Recorded[][] = []
  for (const prompt of prompts) pools.push(await record(host, prompt))
  const table = new Table({ style: { head: [], border: [] }, head: ['checkpoints', 'rejected', `share of best-of-${poolSize}’s gain`, 'share of its tokens'] })
  for (const [checkpoints, rejected] of [[[8], 0.5], [[16], 0.5], [[8, 16], 0.5], [[8, 16, 32], 0.5], [[12, 24], 0.5], [[16, 32], 0.5], [[24], 0.5], [[24], 0.75], [[16], 0.75], [[16, 32], 0.75]] as const) {
    if (checkpoints.some(tokens => tokens >= maxTokens)) continue
    const perPrompt = pools.map(pool => {
      const { reward, tokens } = replay(pool, checkpoints, rejected)
      const plain = mean(pool.map(one => one.reward))
      return { kept: reward - plain, gain: Math.max(...pool.map(one => one.reward)) - plain, tokens, all: pool.reduce((sum, one) => sum + one.tokens, 0) }
    })
    const share = (part: 'kept' | 'tokens', whole: 'gain' | 'all'): string => interval(overPrompts(perPrompt, some => mean(some.map(one => one[part])) / mean(some.map(one => one[whole]))))
    table.push([checkpoints.join(', '), rejected, share('kept', 'gain'), share('tokens', 'all')])
  }
  return table
}

const costed: Readonly<Record<string, Record<string, unknown> | null>> = {
  plain: null,
  'best_of_n 16': { strategy: 'best_of_n', num_candidates: 16, rewards },
  'speculative_rejection 16': { strategy: 'speculative_rejection', checkpoints: [8, 16, 32], rewards },
  'beam_search 4×4': { strategy: 'beam_search', rewards },
  'dvts 4×4': { strategy: 'dvts', rewards },
  'rebase 16': { strategy: 'rebase', rewards },
  'particle_filter 16': { strategy: 'particle_filter', num_particles: 16, strength: 5, rewards },
  segment_rejection: { strategy: 'segment_rejection', segment: { tokens: 16 }, strength: 5, rewards },
  'token_guidance, read': { strategy: 'token_guidance', strength: 20, rewards },
  'token_guidance, q_head': { strategy: 'token_guidance', method: 'q_head', strength: 20, rewards },
  'token_guidance, contrast': { strategy: 'token_guidance', contrast: { toward: { system: 'You found it bad, and say so.' }, away: {} } }
}

async function cost (host: Host, prompts: readonly string[]): Promise<Table.Table> {
  const rounds: Array<Record<string, Answered>> = []
  for (const prompt of prompts) {
    const round: Record<string, Answered> = {}
    for (const [name, alignment] of Object.entries(costed)) round[name] = await ask(host, prompt, 1, alignment)
    rounds.push(round)
  }
  const table = new Table({ style: { head: [], border: [] }, head: ['strategy', 'tokens drawn', 'returned', 'reward tokens', 'forward passes', 'ms per token drawn, against plain', 'ms per token returned, against plain', 'KL, nats'] })
  const perToken = ({ ms, result }: Answered, returned: boolean): number => ms / (returned ? result.choices[0]!.completionTokens : result.generatedTokens)
  for (const name of Object.keys(costed)) {
    const own = rounds.map(round => round[name]!)
    const against = (returned: boolean): string => interval(meanOverPrompts(rounds.map(round => perToken(round[name]!, returned) / perToken(round['plain']!, returned))))
    const kl = own.map(one => one.result.kl.value)
    table.push([name, mean(own.map(one => one.result.generatedTokens)).toFixed(0), mean(own.map(one => one.result.choices[0]!.completionTokens)).toFixed(0), mean(own.map(one => one.result.rewardTokens)).toFixed(0), mean(own.map(one => one.forwardPasses)).toFixed(0), against(false), against(true), kl.every(value => value !== null) ? mean(kl).toFixed(2) : '–'])
  }
  return table
}

const parts: Readonly<Record<string, (host: Host, prompts: readonly string[]) => Promise<Table.Table>>> = { order, replay: replays, cost }
const part = parts[options.part ?? '']
if (!part) throw new Error(`--part must be one of ${Object.keys(parts).join(', ')}; got ${JSON.stringify(options.part)}`)
const host = await createHost(loadConfig(), message => { console.error(message) })
try {
  // The first answer compiles and warms what the others use.
  await ask(host, 'Say hello.', 1, null)
  console.log((await part(host, loadPrompts(options.prompts).slice(0, Number(options.count)))).toString())
} finally {
  await host.close()
}
