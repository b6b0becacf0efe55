/**
 * Token guidance by Q-heads inside vLLM, through `--policy`, against the local engine's on the same model in float32:
 * the same tokens where they are not drawn, the same distribution where they are, and what it costs.
 */
import assert from 'node:assert/strict'
import { assertSameSource } from '../../tests/helpers/statistics.js'
import type { Json } from '../engine-process.js'
import { agree, type Checks } from './check.js'
import type { Pair } from './plugin-checks.js'

/** A model that this process runs, and the same in front of which it stands. */
export interface Sides extends Pick<Pair, 'prompts' | 'head' | 'length'> {
  readonly near: string
  readonly far: string
  readonly model: string
}

type Prompt = readonly number[]

async function complete (address: string, { model, length }: Sides, body: object): Promise<Json> {
  const response = await fetch(`${address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, max_tokens: length, return_token_ids: true, ...body })
  })
  const json = await response.json() as Json
  assert.equal(response.status, 200, JSON.stringify(json))
  return json
}

const guidance = ({ head }: Sides, strength: number): object =>
  ({ strategy: 'token_guidance', method: 'q_head', reward: head, strength })

const tokensOf = ({ choices }: Json): number[][] =>
  (choices as Json[]).map(({ token_ids: tokens }) => tokens as number[])

/** The head's scores of all choices. */
const scoresOf = ({ choices }: Json, { head }: Sides): number[] =>
  (choices as Json[]).map(({ alignment }) => alignment.rewards[head].standardized as number)

/** What is not drawn. @param ordinary a token that answers have */
const greedyVariants = (ordinary: number): ReadonlyArray<readonly [body: object, alignment: object]> => [
  [{ temperature: 0 }, {}],
  [{ temperature: 0 }, { candidates: { top_k: 0 } }],
  [{ temperature: 0.7 }, { draw: 'argmax' }],
  [{ temperature: 0.7 }, { draw: 'argmax', guidance_before_temperature: true, candidates: { top_k: 8 } }],
  [{ temperature: 0 }, { reward_scale: 'raw' }],
  [{ temperature: 0, logit_bias: { [ordinary]: -4 }, min_tokens: 6 }, {}],
  [{ temperature: 0, ignore_eos: true }, {}]
]

/** Equality with the local engine. */
export async function guidanceChecks (checks: Checks, sides: Sides): Promise<void> {
  const { near, far, prompts } = sides
  const both = async (prompt: Prompt, body: object, alignment: object): Promise<[Json, Json]> => {
    const asked = { prompt, ...body, alignment }
    return [await complete(near, sides, asked), await complete(far, sides, asked)]
  }
  await checks.check('Q-head guidance through --policy takes the local engine’s tokens, scored alike', async () => {
    const scores: [number[], number[]] = [[], []]
    const answers = new Set<string>()
    for (const prompt of prompts) {
      const [plain] = tokensOf(await complete(near, sides, { prompt, temperature: 0 }))
      for (const [body, more] of greedyVariants(plain![1]!)) {
        for (const strength of [6, -6]) {
          const [here, there] = await both(prompt, body, { ...guidance(sides, strength), ...more })
          assert.deepEqual(tokensOf(there), tokensOf(here), JSON.stringify({ body, more, strength }))
          scores[0].push(...scoresOf(here, sides))
          scores[1].push(...scoresOf(there, sides))
          answers.add(tokensOf(here).join())
          assert.equal(there['usage'].alignment_details.engine.failed_calls, 0)
        }
      }
    }
    return `${answers.size} answers, scores: ${agree(...scores, 1e-4)}`
  })
  await checks.check('drawn answers under guidance come from the local engine’s distribution', async () => {
    const prompt = prompts.at(-1)!
    const drawn: [string[], string[]] = [[], []]
    for (let seed = 0; seed < 12; seed++) {
      const given = { n: 64, max_tokens: 3, seed, temperature: 0.8 }
      const alignment = { ...guidance(sides, 1.5), candidates: { top_k: 4 } }
      for (const [side, json] of (await both(prompt, given, alignment)).entries()) {
        drawn[side]!.push(...tokensOf(json).map(tokens => tokens.join()))
      }
    }
    assertSameSource(...drawn, 'guided answers')
    return `${new Set(drawn.flat()).size} answers of three tokens, drawn ${drawn[0].length} times on each side`
  })
}

/** How the score moves on both sides; told with standard errors. */
export async function guidanceShift (checks: Checks, sides: Sides): Promise<void> {
  const { near, far, prompts } = sides
  await checks.check('Q-head guidance through --policy moves the score as local guidance does', async () => {
    const told: string[] = []
    for (const strength of [0, 4]) {
      const [here, there] = [[], []] as [number[], number[]]
      for (const prompt of prompts) {
        const asked = { prompt, n: 16, seed: 3, alignment: guidance(sides, strength) }
        here.push(...scoresOf(await complete(near, sides, asked), sides))
        there.push(...scoresOf(await complete(far, sides, asked), sides))
      }
      const [one, other] = [momentsOf(here), momentsOf(there)]
      const error = Math.hypot(one.error, other.error)
      assert.ok(Math.abs(one.mean - other.mean) < 3.3 * error, `strength ${strength}: ${one.mean} and ${other.mean}`)
      told.push(`strength ${strength}: ${one.mean.toFixed(2)} ± ${one.error.toFixed(2)} here, ` +
        `${other.mean.toFixed(2)} ± ${other.error.toFixed(2)} there`)
    }
    return told.join('; ')
  })
}

function momentsOf (values: readonly number[]): { readonly mean: number, readonly error: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  return { mean, error: Math.sqrt(variance / values.length) }
}

/** What guidance costs through `--policy`: ratios of runs in turns, told and not judged, as the machine may be busy. */
export async function guidanceCost (checks: Checks, sides: Sides): Promise<void> {
  const { far, prompts: [prompt] } = sides
  const seconds = async (more: object): Promise<number> => {
    const from = performance.now()
    await complete(far, sides, { prompt, n: 8, max_tokens: 64, ignore_eos: true, seed: 1, ...more })
    return performance.now() - from
  }
  await checks.check('what Q-head guidance costs through --policy', async () => {
    const ratios: number[] = []
    for (let round = -1; round < 7; round++) {
      const plain = await seconds({})
      const guided = await seconds({ alignment: guidance(sides, 4) })
      if (round >= 0) ratios.push(guided / plain)
    }
    const [least, median, most] = [0, 3, 6].map(at => ratios.sort((a, b) => a - b)[at]!.toFixed(3))
    return `${median} × a plain answer (${least} to ${most} in seven pairs of runs, eight of 64 tokens side by side)`
  })
}
