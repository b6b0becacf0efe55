/**
 * Whether a device computes what the processor computes, and each row what it computes alone: greedy answers and
 * logits of whole engines. Prints nothing.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../src/package-root.js'
import type { LocalModel } from '../src/serving/served-models.js'

/** Prompts of ordinary chats, as the model reads them. */
export function promptsOf ({ model: { tokenizer } }: LocalModel, count: number): number[][] {
  const chats =
    JSON.parse(readFileSync(join(packageRoot, 'models', 'calibration', 'chats.json'), 'utf8')) as string[][]
  return Array.from({ length: count }, (_, index) =>
    tokenizer.encode(chats[index % chats.length]!.join('\n\n').slice(0, 80 + 40 * (index % 5))))
}

/** An answer: the most probable token at each place, and the logits that it was found in. */
interface Answer { readonly tokens: number[], readonly logits: Float32Array[] }

/** @param given tokens to go on with in place of the most probable ones */
async function answer (
  { engine }: LocalModel, prompt: readonly number[], tokens: number, given?: readonly number[]
): Promise<Answer> {
  const sequence = engine.open(prompt, { salt: `agreement ${prompt.join()}` })
  const written: Answer = { tokens: [], logits: [] }
  try {
    for (let at = 0; at < tokens; at++) {
      const { distribution } = await sequence.output()
      written.logits.push(distribution.logits.slice())
      written.tokens.push(distribution.topIds[0]!)
      if (at + 1 < tokens) sequence.append(given?.[at] ?? distribution.topIds[0]!)
    }
    return written
  } finally {
    sequence.close()
  }
}

/** A place where the device finds another token the most probable. */
export interface Difference {
  readonly prompt: number
  readonly place: number
  /** By how much the processor prefers its token to the device's: its logits' difference. */
  readonly margin: number
}

/** How a device's answers compare with the processor's. */
export interface Agreement {
  readonly answers: number
  /** Greedy answers that are the processor's, token for token. */
  readonly equalAnswers: number
  readonly positions: number
  readonly differences: readonly Difference[]
  /** The largest difference of a logit; the root mean squares of the differences, and of the processor's logits. */
  readonly largest: number
  readonly error: number
  readonly rms: number
  /** Smallest margin between the two most probable tokens, of the processor. */
  readonly smallestMargin: number
}

/** Sums and the largest of differences, over rows. */
class Differences {
  largest = 0
  #squares = 0
  #theirs = 0
  #values = 0

  add (row: Float32Array, theirs: Float32Array): void {
    for (const [at, value] of theirs.entries()) {
      const difference = row[at]! - value
      this.largest = Math.max(this.largest, Math.abs(difference))
      this.#squares += difference ** 2
      this.#theirs += value ** 2
    }
    this.#values += theirs.length
  }

  get error (): number { return Math.sqrt(this.#squares / this.#values) }
  get rms (): number { return Math.sqrt(this.#theirs / this.#values) }
}

function marginOf (logits: Float32Array, best: number): number {
  let second = -Infinity
  for (const [id, logit] of logits.entries()) if (id !== best && logit > second) second = logit
  return logits[best]! - second
}

/**
 * Both read the processor's greedy answers, all at once. While the most probable tokens are the same these are the
 * device's own, so that one reading compares both tokens and logits.
 */
export async function agreementOf (
  device: LocalModel, processor: LocalModel, prompts: readonly number[][], tokens: number
): Promise<Agreement> {
  const expected = await Promise.all(prompts.map(prompt => answer(processor, prompt, tokens)))
  const read = await Promise.all(prompts.map((prompt, at) => answer(device, prompt, tokens, expected[at]!.tokens)))
  const differences: Difference[] = []
  const found = new Differences()
  let smallestMargin = Infinity
  for (const [prompt, { tokens: own, logits }] of read.entries()) {
    for (const [place, row] of logits.entries()) {
      const [theirs, best] = [expected[prompt]!.logits[place]!, expected[prompt]!.tokens[place]!]
      found.add(row, theirs)
      smallestMargin = Math.min(smallestMargin, marginOf(theirs, best))
      if (own[place] !== best) differences.push({ prompt, place, margin: theirs[best]! - theirs[own[place]!]! })
    }
  }
  return {
    answers: prompts.length,
    equalAnswers: prompts.length - new Set(differences.map(({ prompt }) => prompt)).size,
    positions: prompts.length * tokens,
    differences,
    largest: found.largest,
    error: found.error,
    rms: found.rms,
    smallestMargin
  }
}

/** How many rows among others, from the cache and of forks have the bits that they have fresh and alone. */
export async function sameRows (
  device: LocalModel, prompts: readonly number[][], tokens: number
): Promise<{ readonly rows: number, readonly equal: number }> {
  const together = await Promise.all(prompts.map(prompt => answer(device, prompt, tokens)))
  let [rows, equal] = [0, 0]
  const compare = (a: readonly Float32Array[], b: readonly Float32Array[]): void => {
    for (const [at, row] of a.entries()) {
      rows++
      if (row.every((value, place) => Object.is(value, b[at]![place]))) equal++
    }
  }
  for (const [at, prompt] of prompts.entries()) {
    // Whole blocks of the prompt are in the cache by now.
    compare((await answer(device, prompt, tokens)).logits, together[at]!.logits)
    const root = device.engine.open(prompt, { salt: `fork ${at}` })
    await root.output()
    const fork = root.fork()
    fork.append(together[at]!.tokens[0]!)
    compare([(await fork.output()).distribution.logits], [together[at]!.logits[1]!])
    for (const one of [root, fork]) one.close()
  }
  return { rows, equal }
}
