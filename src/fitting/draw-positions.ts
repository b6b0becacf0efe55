/**
 * What Q-heads are fitted on: positions in answers that the policy itself writes, each with what its most probable next
 * tokens add to a head's score, read by feeding them to forks. Answers are drawn as the policy draws them, and pulled
 * up or down by those values now and then, so that steered text is known too.
 */
import type { Sequence } from '../engine/sequence.js'
import { sideBySide } from '../bounded-concurrency.js'
import { linearScore, type Head } from '../rewards/kinds/head.js'
import { meanAndStd } from '../statistics/metrics.js'
import type { ReadablePolicy } from '../rewards/readable-policy.js'
import { uniform } from '../statistics/random.js'
import type { ChatMessage } from '../rewards/scorer.js'

/** How answers are drawn: of at most `maxTokens` tokens, looked at in every `stride`-th place. */
export const drawing = { maxTokens: 64, stride: 5, candidates: 20, pulls: [-1, 0, 1] } as const

/** Answers drawn at a time; each has its candidates' forks, too. */
const concurrency = 3

/** A place in an answer. */
export interface Position {
  /** Which prompt, by index. */
  readonly prompt: number
  /** Hidden state after the last token, length D, at the layer asked for. */
  readonly state: Float32Array
  /** The most probable next tokens, end tokens left out. */
  readonly tokens: readonly number[]
  /** What each adds to the running mean of the head's score: weights · its state + bias. */
  readonly added: readonly number[]
}

/** How many answers are drawn, and which states are kept of them. */
export interface DrawOptions {
  /** Layer of the states. */
  readonly layer: number
  readonly answersPerPrompt: number
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal | undefined
}

/** Positions of answers to prompts; same policy, head and prompts, same positions. */
export async function drawPositions (
  policy: ReadablePolicy, head: Head, prompts: ReadonlyArray<readonly ChatMessage[]>,
  { layer, answersPerPrompt, onProgress = () => {}, signal }: DrawOptions
): Promise<Position[]> {
  const jobs = prompts.flatMap((_messages, prompt) =>
    Array.from({ length: answersPerPrompt }, (_, copy) => ({ prompt, seed: 1 + 1000 * prompt + copy })))
  const encoded = await policy.tokens(prompts.map(messages => ({ messages, text: '' })), signal)
  const positions = jobs.map((): Position[] => [])
  let done = 0
  await sideBySide([...jobs.entries()], concurrency, async ([index, { prompt, seed }]) => {
    signal?.throwIfAborted()
    positions[index] = await drawAnswer(policy, head, encoded[prompt]!.promptTokens,
      { prompt, layer, random: uniform(seed), signal })
    onProgress(++done, jobs.length)
  })
  return positions.flat()
}

async function drawAnswer (
  policy: ReadablePolicy, head: Head, promptTokens: readonly number[],
  { prompt, layer, random, signal }:
  { prompt: number, layer: number, random: () => number, signal: AbortSignal | undefined }
): Promise<Position[]> {
  const sequence = policy.source.open(promptTokens,
    { layers: [...new Set([layer, head.layer])], ...(signal && { signal }) })
  const pull = drawing.pulls[Math.floor(random() * drawing.pulls.length)]!
  const offset = Math.floor(random() * drawing.stride)
  const positions: Position[] = []
  try {
    for (let length = 0; length < drawing.maxTokens; length++) {
      const { topIds, topLogits, state } = await read(sequence, layer)
      const weights = topLogits.map(logit => logit - topLogits[0]!)
      if (length % drawing.stride === offset) {
        const tokens = topIds.slice(0, drawing.candidates).filter(token => !policy.endTokens.includes(token))
        const added = await Promise.all(tokens.map(token => contribution(sequence, head, token)))
        positions.push({ prompt, state, tokens, added })
        const { mean, std } = meanAndStd(added)
        for (const [index, token] of tokens.entries()) {
          weights[topIds.indexOf(token)]! += pull * (added[index]! - mean) / (std || 1)
        }
      }
      const token = topIds[draw(weights, random())]!
      if (policy.endTokens.includes(token)) break
      sequence.append(token)
    }
    return positions
  } finally {
    sequence.close()
  }
}

/** The output after the last token, as far as it is needed, in memory of its own: forks go on while it is used. */
async function read (
  sequence: Sequence, layer: number
): Promise<{ topIds: number[], topLogits: number[], state: Float32Array }> {
  const output = await sequence.output()
  return {
    topIds: [...output.distribution.topIds],
    topLogits: [...output.distribution.topLogits],
    state: output.hidden(layer).slice()
  }
}

/** What reading a token adds. */
async function contribution (sequence: Sequence, { weights, bias, layer }: Head, token: number): Promise<number> {
  const fork = sequence.fork()
  try {
    fork.append(token)
    return linearScore(weights, bias, (await fork.output()).hidden(layer))
  } finally {
    fork.close()
  }
}

/** An index drawn ∝ exp(weight). */
function draw (weights: readonly number[], u: number): number {
  const masses = weights.map(Math.exp)
  let left = u * masses.reduce((sum, mass) => sum + mass, 0)
  const found = masses.findIndex(mass => { left -= mass; return left < 0 })
  return found < 0 ? masses.length - 1 : found
}
