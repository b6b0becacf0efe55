/** Fairlead in front of a vLLM against Fairlead's own engine, the same model in float32: both through the same API. */
import assert from 'node:assert/strict'
import { agree, type Checks } from './check.js'
import type { Json } from '../engine-process.js'

async function complete (address: string, body: object): Promise<Json> {
  const response = await fetch(`${address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', max_tokens: 32, return_token_ids: true, ...body })
  })
  const json = await response.json() as Json
  assert.equal(response.status, 200, JSON.stringify(json))
  return json
}

/** Searches that need nothing of a policy but that it goes on. */
const searches: Readonly<Record<string, object>> = {
  best_of_n: { num_candidates: 4 },
  beam_search: { num_beams: 2, num_children: 2, step: { tokens: 8 } },
  particle_filter: { num_particles: 4, step: { tokens: 8 } }
}

/** The plugin's heads as rewards of the policy. */
export async function headChecks (
  checks: Checks, near: string, far: string, prompts: ReadonlyArray<readonly number[]>
): Promise<void> {
  await checks.check('a head inside the engine scores answers through --policy as the local one', async () => {
    const scores: [number[], number[]] = [[], []]
    for (const prompt of prompts) {
      for (const [index, address] of [near, far].entries()) {
        const { choices: [{ alignment }] } = await complete(address,
          { prompt, temperature: 0, alignment: { num_candidates: 1, reward: 'tinted' } })
        scores[index]!.push(alignment.rewards.tinted.raw as number)
      }
    }
    return agree(...scores, 1e-4)
  })
  for (const [strategy, parameters] of Object.entries(searches)) {
    await checks.check(`${strategy} by a head inside the engine`, async () => {
      const { usage } = await complete(far,
        { prompt: prompts.at(-1), seed: 5, alignment: { strategy, reward: 'tinted', ...parameters } })
      const { calls, failed_calls: failed } = usage.alignment_details.engine
      assert.equal(failed, 0)
      return `${calls} calls`
    })
  }
}

/**
 * @param near address of a server that runs the model
 * @param far address of one whose policy is the vLLM
 */
export async function policyChecks (
  checks: Checks, near: string, far: string, prompts: ReadonlyArray<readonly number[]>
): Promise<void> {
  await checks.check('greedy answers through --policy are the local engine’s, token for token', async () => {
    const logprobs: Array<[number, number]> = []
    for (const prompt of prompts) {
      const [here, there] = await Promise.all([near, far].map(address =>
        complete(address, { prompt, temperature: 0, logprobs: 1 })))
      assert.deepEqual(there!['choices'][0].token_ids, here!['choices'][0].token_ids)
      const sum = ({ choices: [{ logprobs: { token_logprobs: all } }] }: Json): number =>
        (all as number[]).reduce((total, one) => total + one, 0)
      logprobs.push([sum(here!), sum(there!)])
    }
    return `log-probabilities of answers: ${agree(logprobs.map(([one]) => one), logprobs.map(([, two]) => two), 1e-3)}`
  })
  for (const [strategy, parameters] of Object.entries(searches)) {
    await checks.check(`${strategy} through --policy, from the engine's cache`, async () => {
      const { usage } = await complete(far,
        { prompt: prompts.at(-1), seed: 5, alignment: { strategy, reward: 'length', ...parameters } })
      const { calls, failed_calls: failed, prompt_tokens: read, cached_tokens: cached } = usage.alignment_details.engine
      assert.ok(calls > 1 && failed === 0 && cached > 0, JSON.stringify(usage))
      return `${calls} calls, ${cached} of ${read} prompt tokens cached`
    })
  }
}
