/**
 * The plugin of integrations/vllm against this process's own engine, on one model in float32: greedy answers, scores
 * of heads, Q-head guidance, all through the APIs.
 */
import assert from 'node:assert/strict'
import { agree, type Checks } from './check.js'
import type { Answered, EngineProcess, Json } from '../engine-process.js'

/** A model on both sides, by the same name. */
export interface Pair {
  readonly engine: EngineProcess
  /** Address of Fairlead's server. */
  readonly local: string
  readonly prompts: ReadonlyArray<readonly number[]>
  /** A reward with a next-token member. */
  readonly head: string
  /** Tokens of an answer. */
  readonly length: number
  /** Tokens that end one for Fairlead, which may be more than the engine knows. */
  readonly ends: readonly number[]
}

interface Drawn { readonly tokens: readonly number[], readonly values: readonly number[] }

async function ask (url: string, body: object): Promise<Answered> {
  const response = await fetch(url,
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return { status: response.status, json: await response.json() as Json }
}

/** A greedy answer of this process's engine, as a strategy draws it. */
async function drawLocally (
  { engine: { name: model }, local, length }: Pair, prompt: readonly number[], alignment: object
): Promise<{ readonly tokens: readonly number[], readonly raw: number, readonly logprob: number }> {
  const { status, json } = await ask(`${local}/v1/completions`,
    { model, prompt, max_tokens: length, temperature: 0, return_token_ids: true, alignment })
  assert.equal(status, 200, JSON.stringify(json))
  const { token_ids: tokens, alignment: { rewards, logprob } } = json['choices'][0]
  return { tokens, raw: (Object.values(rewards)[0] as { raw: number }).raw, logprob }
}

/** A greedy answer of vLLM, with the values of one head after each of its tokens. */
async function drawRemotely (
  { engine, head, length, ends }: Pair, prompt: readonly number[], xargs?: object
): Promise<Drawn & { readonly logprob: number }> {
  const { channels, heads } = JSON.parse(await engine.get('/fairlead/heads')) as Json
  const { mantissa, exponent } = (heads as Json[]).find(({ name }) => name === head)!
  const asked = [channels.reference, mantissa, exponent] as number[]
  const request = async (tokens: readonly number[], most: number, more: object): Promise<Json> => {
    const { status, json } = await engine.post('/v1/completions', {
      prompt: tokens,
      max_tokens: most,
      temperature: 0,
      return_token_ids: true,
      return_tokens_as_token_ids: true,
      logprobs: 1,
      logprob_token_ids: asked,
      ignore_eos: true,
      stop_token_ids: ends,
      ...more
    })
    assert.equal(status, 200, JSON.stringify(json))
    return json['choices'][0]
  }
  /** What each position says of the token before it. */
  const valuesOf = ({ logprobs }: Json): number[] => (logprobs.top_logprobs as Json[]).map(top => {
    const [reference, high, low] = asked.map(token => top[`token_id:${token}`] as number) as [number, number, number]
    return (high - reference) / channels.mantissa_scale * 2 ** Math.round((low - reference) / channels.exponent_scale)
  })
  const choice = await request(prompt, length, xargs ? { vllm_xargs: xargs } : {})
  const tokens = choice['token_ids'] as number[]
  const isEnded = choice['finish_reason'] === 'stop'
  const answer = isEnded ? tokens.slice(0, -1) : tokens
  const values = valuesOf(choice).slice(1)
  // The last token's value comes with the next: one more is drawn for it.
  if (!isEnded) values.push(...valuesOf(await request([...prompt, ...answer], 1, {})))
  const logprob = (choice['logprobs'].token_logprobs as number[]).reduce((sum, one) => sum + one, 0)
  return { tokens, values, logprob }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** How long answers side by side take, s. */
async function seconds (engine: EngineProcess, prompt: readonly number[], xargs: object): Promise<number> {
  const from = performance.now()
  await Promise.all(Array.from({ length: 8 }, async (_, seed) => {
    const { status } = await engine.post('/v1/completions',
      { prompt, max_tokens: 32, ignore_eos: true, temperature: 1, seed, ...xargs })
    assert.equal(status, 200)
  }))
  return (performance.now() - from) / 1000
}

/** What guidance costs: ratios of runs in turns, told and not judged, since the machine may be busy. */
export async function pluginCost (checks: Checks, { engine, head, prompts }: Pair): Promise<void> {
  await checks.check('what Q-head guidance costs', async () => {
    const ratios: number[] = []
    const guided = { vllm_xargs: { fairlead_guide: head, fairlead_strength: 4 } }
    for (let round = -1; round < 7; round++) {
      const plain = await seconds(engine, prompts[0]!, {})
      const other = await seconds(engine, prompts[0]!, guided)
      if (round >= 0) ratios.push(other / plain)
    }
    const [least, median, most] = [0, 3, 6].map(at => ratios.sort((a, b) => a - b)[at]!.toFixed(3))
    return `${median} × a plain token (${least} to ${most} in seven pairs of runs, eight answers side by side)`
  })
}

/** Runs all. */
export async function pluginChecks (checks: Checks, pair: Pair): Promise<void> {
  const { prompts, head, engine } = pair
  await checks.check('greedy answers are the local engine’s, token for token', async () => {
    const logprobs: Array<readonly [number, number]> = []
    for (const prompt of prompts) {
      const [near, far] = [await drawLocally(pair, prompt, { strategy: 'best_of_n', num_candidates: 1, reward: head }),
        await drawRemotely(pair, prompt)]
      assert.deepEqual(far.tokens, near.tokens)
      logprobs.push([near.logprob, far.logprob])
    }
    return `log-probabilities of answers: ${agree(logprobs.map(([near]) => near), logprobs.map(([, far]) => far), 1e-3)}`
  })
  await checks.check('a head scores as the local one', async () => {
    const [near, far]: [number[], number[]] = [[], []]
    for (const prompt of prompts) {
      near.push((await drawLocally(pair, prompt, { strategy: 'best_of_n', num_candidates: 1, reward: head })).raw)
      far.push(mean((await drawRemotely(pair, prompt)).values))
    }
    return agree(near, far, 1e-4)
  })
  await checks.check('Q-head guidance draws what local guidance draws, and moves the score', async () => {
    const scores: number[] = []
    for (const strength of [6, 0, -6]) {
      const guided: number[] = []
      for (const prompt of prompts) {
        const far = await drawRemotely(pair, prompt,
          { fairlead_guide: head, fairlead_strength: strength, fairlead_top_k: 64 })
        const near = await drawLocally(pair, prompt,
          { strategy: 'token_guidance', method: 'q_head', reward: head, strength })
        assert.deepEqual(far.tokens, near.tokens)
        guided.push(mean(far.values))
      }
      scores.push(mean(guided))
    }
    const [up, plain, down] = scores as [number, number, number]
    assert.ok(up > plain && plain > down, `scores ${scores.join()} by strengths 6, 0, −6`)
    return `mean raw score ${up.toFixed(2)}, ${plain.toFixed(2)}, ${down.toFixed(2)} at strengths 6, 0, −6`
  })
  await checks.check('a guided answer goes on in another request as in one', async () => {
    const xargs = { fairlead_guide: head, fairlead_strength: 6 }
    for (const prompt of prompts) {
      const whole = await drawRemotely(pair, prompt, xargs)
      const begun = Math.min(5, whole.tokens.length - 1)
      const { tokens, values } = await drawRemotely({ ...pair, length: begun }, prompt, xargs)
      const sum = values.slice(0, -1).reduce((total, value) => total + value, 0)
      const rest = await drawRemotely({ ...pair, length: pair.length - begun }, [...prompt, ...tokens],
        { ...xargs, fairlead_answer_tokens: begun, fairlead_sums: [sum] })
      assert.deepEqual([...tokens, ...rest.tokens], whole.tokens)
    }
  })
  await checks.check('what a request must not say is refused by name', async () => {
    const { status, json } = await engine.post('/v1/completions',
      { prompt: prompts[0], max_tokens: 1, vllm_xargs: { fairlead_guide: 'no such reward' } })
    assert.equal(status, 400)
    assert.match(json['error'].message as string, /fairlead_guide must name/)
  })
}
