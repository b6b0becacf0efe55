/** Score heads and padding: the scores are those before it, as transformers takes them, whatever file a model is in. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { packageRoot } from '../../src/package-root.js'
import { withoutPadding } from '../../src/rewards/chat-reader.js'
import { asGguf } from '../helpers/checkpoint-as-gguf.js'
import { closedAfter } from '../helpers/closed-after.js'
import { answerOf, openReward, promptOf } from '../helpers/open-reward.js'
import { tinyCheckpoints, writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-pooling-'))
after(() => { rmSync(folder, { recursive: true }) })
/** Written by scripts/expected-pooling.py. */
const cases = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/expected-pooling.json'), 'utf8')) as Array<{
  model: string, pad: number | null, tokens: number[], scores: number[]
}>

async function load (t: TestContext, model: string): Promise<LoadedModel> {
  return closedAfter(t, await loadModel({ model, format: 'f32', threads: 1, cacheDir: folder, contextLength: 0 }))
}

for (const name of ['llama-score', 'qwen2-score']) {
  for (const pad of [null, 0, 2, -1]) {
    test(`${name} with padding token ${pad} scores every text as transformers does`, async t => {
      const path = join(folder, `${name} ${pad}`)
      writeTinyCheckpoint(path, { ...tinyCheckpoints[name]!, config: { pad_token_id: pad } })
      const model = await load(t, path)
      const room = { contextLength: 512, maxSequences: 8, kvCacheBytes: 2 ** 26, prefixCacheBytes: 0 }
      const engine = closedAfter(t, new Engine(model, { ...room, prefillTokensPerStep: 64 }))
      const asked = cases.filter(one => one.model === name && one.pad === pad)
      assert.equal(asked.length, 7)
      for (const { tokens, scores } of asked) {
        const sequence = engine.open(withoutPadding(tokens, model.config.scoreHead!.padToken))
        const { distribution: { logits } } = await sequence.output()
        for (const [label, score] of scores.entries()) {
          assert.ok(Math.abs(logits[label]! - score) <= 1e-4, `${tokens.join()}: ${logits[label]}, expected ${score}`)
        }
        sequence.close()
      }
    })
  }
}

/** Ends in the token that ends a turn, without a line feed. */
const template = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + " +
  "'<|im_end|>' }}{% endfor %}"
const normalization = { mean: 0, std: 1, pool: 'none' }

/** The score of one answer by a reward whose model is in a path. */
async function scoreOf (model: string, more: object = {}): Promise<number> {
  const descriptor = { kind: 'classifier', model, format: 'f32', members: { outcome: { normalization } }, ...more }
  const reward = await openReward(join(folder, 'judge.json'), descriptor, 'outcome')
  const [score] = await reward.score(promptOf('what is the sea'), [answerOf('the wind', true)])
  await reward.end()
  return score!
}

test('a reward whose template ends in the padding token is scored before it, in a folder and in a GGUF ' +
  'file', async () => {
  const path = join(folder, 'judge')
  writeTinyCheckpoint(path, { family: 'llama', head: 'score', template, config: { pad_token_id: 2 } })
  assert.ok(Math.abs(await scoreOf(path) - 1.34225) <= 1e-4)
  const file = await asGguf(path, { 'tokenizer.ggml.padding_token_id': 2, 'tokenizer.chat_template': template })
  assert.ok(Math.abs(await scoreOf(file) - 1.34225) <= 1e-4)
  writeTinyCheckpoint(path, { family: 'llama', head: 'score', template })
  assert.ok(Math.abs(await scoreOf(path) - 1.68944) <= 1e-4, 'another padding token is no reason to read less')
})

test('values of trl, one a position, are read at the last token, whatever it is', async () => {
  const scores = await Promise.all([2, 0].map(async pad => {
    const path = join(folder, `value ${pad}`)
    writeTinyCheckpoint(path, { family: 'qwen2', head: 'value', template, config: { pad_token_id: pad } })
    return scoreOf(path)
  }))
  assert.equal(scores[0], scores[1])
})
