/**
 * The policy's confidence in an answer, on a tiny model: equal to what it says token by token, whole or growing, and
 * reachable by name.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Distribution } from '../../src/engine/sequence.js'
import { encodeChat } from '../../src/models/tokenizer/chat-template.js'
import { loadModel } from '../../src/models/model.js'
import { parseRewardFamily } from '../../src/rewards/descriptor.js'
import { createRuntime } from '../../src/serving/load-runtime.js'
import { closedAfter } from '../helpers/closed-after.js'
import { answerOf, openReward, promptOf } from '../helpers/open-reward.js'
import { writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyServer } from '../helpers/tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-confidence-'))
after(() => { rmSync(folder, { recursive: true }) })
writeTinyCheckpoint(join(folder, 'policy'), { family: 'llama', seed: 4 })

const normalization = { mean: -2, std: 1, pool: 'none' }
const confidence = (
  measure: string
): object => ({ kind: 'confidence', measure, members: { outcome: { normalization }, prefix: { normalization } } })
const text = 'then in the end 🙂 the wind 数字 rests…'

/** Each measure as its definition says, over all of the vocabulary. */
const definitions: ReadonlyArray<readonly [string, (said: Distribution, token: number) => number]> = [
  ['mean_logprob', ({ logits, logNormalizer }, token) => logits[token]! - logNormalizer],
  ['self_certainty', ({ logits, logNormalizer }) =>
    -logits.reduce((sum, logit) => sum + Math.log(logits.length * Math.exp(logit - logNormalizer)), 0) / logits.length]
]

const room = { maxSequences: 32, kvCacheBytes: 2 ** 24, prefixCacheBytes: 0, prefillTokensPerStep: 512, maxQueued: 0 }

for (const [measure, definition] of definitions) {
  test(`${measure} is the mean over the answer's tokens, however the answer grew`, async t => {
    const policy = { model: join(folder, 'policy'), format: 'f32', contextLength: 0 } as const
    const model = closedAfter(t, await loadModel({ ...policy, threads: 1, cacheDir: folder }))
    const runtime = createRuntime(model, room)
    const engine = closedAfter(t, runtime.engine)
    const reward = await openReward(join(folder, 'r.json'), confidence(measure), 'prefix', 2, runtime)
    const sequence = engine.open(encodeChat(model.chatTemplate, model.tokenizer, promptOf('say').messages).tokens)
    const tokens = model.tokenizer.encode(text)
    let sum = 0
    for (const token of tokens) {
      sum += definition((await sequence.output()).distribution, token)
      sequence.append(token)
    }
    sequence.close()
    await reward.score(promptOf('say'), [answerOf(text.slice(0, 9), false)])
    const [score, nothing] = await reward.score(promptOf('say'), [answerOf(text, false), answerOf('', false)])
    assert.ok(Math.abs(score! - sum / tokens.length) <= 1e-4, `${score}, token by token ${sum / tokens.length}`)
    // Neither the surest nor the least sure: what answers have on average.
    assert.equal(nothing, normalization.mean)
    assert.equal(await reward.end(), 0)
  })
}

test('a chat is answered by the candidate that the policy is surest of', async t => {
  writeFileSync(join(folder, 'sure.json'),
    JSON.stringify({ name: 'sure', description: 'x', ...confidence('mean_logprob') }))
  const server = closedAfter(t, await tinyServer({ rewardsDir: folder, format: 'f32' }))
  const { json } = await server.post('/v1/chat/completions', {
    model: 'tiny',
    messages: [{ role: 'user', content: 'say' }],
    max_tokens: 8,
    seed: 1,
    ignore_eos: true,
    alignment: { num_candidates: 4, reward: 'sure', reward_scale: 'raw', return_candidates: true }
  })
  // Every candidate has as many tokens, so the surest is the most probable.
  const candidates = json['alignment'].candidates as Array<{ reward: number, logprob: number }>
  assert.equal(json['choices'][0].alignment.logprob, Math.max(...candidates.map(({ logprob }) => logprob)))
})

test('a measure that there is not is refused', () => {
  assert.throws(() => parseRewardFamily(JSON.stringify({ name: 'r', description: 'x', ...confidence('entropy') }),
    'r.json'), /reward r\.json: \/measure .*"entropy"/)
})
