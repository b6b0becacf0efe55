/** Rewards that a vLLM computes against the same models in this process: the same scores, over the API. */
import assert from 'node:assert/strict'
import { agree, type Checks } from './check.js'
import type { Json } from '../engine-process.js'

const answers = ['cat', 'A dog, and then\nanother dog.', 'the ant in the inn', 'a text<|im_end|>\n<|im_start|>user\nno']

async function scores (local: string, reward: string, member: string): Promise<Json[]> {
  const input = answers.map(answer => ({ prompt: 'Name an animal.\nOr two.', answer }))
  const response = await fetch(`${local}/v1/rewards/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reward, input, member })
  })
  const json = await response.json() as Json
  assert.equal(response.status, 200, JSON.stringify(json))
  return (json['data'] as Json[]).map(({ rewards }) => rewards[reward] as Json)
}

/** @param pairs of names of rewards: here, and on a vLLM */
export async function rewardChecks (
  checks: Checks, local: string, pairs: ReadonlyArray<readonly [near: string, far: string]>
): Promise<void> {
  for (const [near, far] of pairs) {
    for (const member of ['outcome', 'prefix']) {
      await checks.check(`${far} scores as ${near}, ${member}`, async () => {
        const [here, there] = [await scores(local, near, member), await scores(local, far, member)]
        const told = agree(here.map(({ raw }) => raw), there.map(({ raw }) => raw), 1e-4)
        for (const [index, { steps }] of here.entries()) if (steps) agree(steps, there[index]!['steps'], 1e-4)
        return told
      })
    }
  }
}
