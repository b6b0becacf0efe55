/**
 * Judges of steps, on tiny models: each published format asks what its paper asks, every step is read once, growing
 * equals anew.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import { RequestError } from '../../src/errors.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { stepFormats, type StepFormatName } from '../../src/rewards/kinds/step-formats.js'
import { closedAfter } from '../helpers/closed-after.js'
import { answerOf, openReward, promptOf, type OpenReward } from '../helpers/open-reward.js'
import { tinyTokenizerJson, writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyServer } from '../helpers/tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-process-'))
after(() => { rmSync(folder, { recursive: true }) })
/** Qwen's marker takes the place of the last byte's token. */
const marker = {
  id: 263, content: '<extra_0>', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true
}
const withMarker = {
  added_tokens: [...tinyTokenizerJson.added_tokens, marker],
  model: { ...tinyTokenizerJson.model, merges: ['i n', 'a n'] }
}
/** Math-Shepherd's verdicts are tokens with a space before them; they take the places of two merged ones. */
const verdicts = [['an', 'Ġ+'], ['in', 'Ġ-']] as const
const vocab = Object.fromEntries(Object.entries(tinyTokenizerJson.model.vocab)
  .map(([text, id]) => [verdicts.find(([replaced]) => replaced === text)?.[1] ?? text, id]))
writeTinyCheckpoint(join(folder, 'writer'),
  { family: 'llama', tokenizer: { model: { ...tinyTokenizerJson.model, vocab, merges: ['Ġ t', 'Ġ +', 'Ġ -'] } } })
writeTinyCheckpoint(join(folder, 'process'), { family: 'qwen2', head: 'process', labels: 2, tokenizer: withMarker })
writeTinyCheckpoint(join(folder, 'value'), { family: 'qwen2', head: 'value' })

const modelOf: Readonly<Record<StepFormatName, string>> = {
  math_shepherd: 'writer', rlhflow: 'writer', skywork: 'value', qwen: 'process'
}
const normalization = { mean: 0.25, std: 1, pool: 'none' }
const members = { outcome: { normalization }, prefix: { normalization } }
const descriptor = (
  steps: unknown, model: string, more: object = {}
): object => ({ kind: 'process', model, format: 'f32', steps, members, ...more })
const opened = (reward: object): Promise<OpenReward> => openReward(join(folder, 'judge.json'), reward, 'prefix')
const prompt = promptOf('what is 7 + 8?')

/** Step scores as each format's own code computes them: the whole conversation in one text, read at every marker. */
const asked: Readonly<Record<StepFormatName, (
  question: string, steps: readonly string[]
) => { text: string, read: 'marker' | 'before' }>> = {
  math_shepherd: (question, steps) => ({
    text: `${question} ${steps.map(step => `${step} ки`).join('\n')}`, read: 'marker'
  }),
  rlhflow: (question, steps) => ({
    text: steps.map((step, index) => `<|im_start|>user\n${index === 0 ? `${question} ` : ''}` +
      `${step}<|im_end|>\n<|im_start|>assistant\n+<|im_end|>\n`).join(''),
    read: 'before'
  }),
  skywork: (question, steps) => ({
    text: `<|im_start|>${question}\n${steps.map(step => `${step}\n`).join('')}`, read: 'marker'
  }),
  qwen: (question, steps) => ({
    text: `<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n${steps.map(step => `${step}<extra_0>`).join('')}`,
    read: 'marker'
  })
}

/** A model that is given back when the test ends. */
async function load (t: TestContext, name: StepFormatName): Promise<LoadedModel> {
  const model = join(folder, modelOf[name])
  return closedAfter(t, await loadModel({ model, format: 'f32', threads: 1, cacheDir: folder, contextLength: 0 }))
}

/** An engine that is closed when the test ends. */
function engineOf (t: TestContext, model: LoadedModel): Engine {
  const room = { contextLength: 512, maxSequences: 32, kvCacheBytes: 2 ** 26, prefixCacheBytes: 0 }
  return closedAfter(t, new Engine(model, { ...room, prefillTokensPerStep: 512 }))
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

async function byItsOwnCode (t: TestContext, name: StepFormatName, steps: readonly string[]): Promise<number[]> {
  const { text, read } = asked[name]('what is 7 + 8?', steps)
  const model = await load(t, name)
  const { tokenizer } = model
  const encode = (part: string): number[] => tokenizer.encodeTemplate([{ text: part, trusted: true }])
  const tokens = encode(text)
  // A step's place is where the text up to its marker ends; in turns, where the assistant's turn is opened.
  const closing = { math_shepherd: ' ки', rlhflow: '+<|im_end|>\n', skywork: '\n', qwen: '<extra_0>' }[name]
  const places: number[] = []
  for (let at = name === 'skywork' ? text.indexOf('\n') + 1 : 0; (at = text.indexOf(closing, at)) >= 0; at +=
    closing.length) places.push(encode(text.slice(0, read === 'before' ? at : at + closing.length)).length - 1)
  const scores = new Map<number, number>()
  const [plus, minus] = (name === 'math_shepherd' ? [' +', ' -'] : ['+', '-']).map(one =>
    tokenizer.encode(one)[0]!) as [number, number]
  const scoreOf = (logits: Float32Array): number => sigmoid(
    logits.length === 1 ? logits[0]! : logits.length === 2 ? logits[1]! - logits[0]! : logits[plus]! - logits[minus]!
  )
  const engine = engineOf(t, model)
  const sequence = engine.open(tokens,
    { onPosition: (position, { logits }) => { scores.set(position, scoreOf(logits)) } })
  await sequence.output()
  return places.map(place => scores.get(place)!)
}

for (const name of Object.keys(stepFormats) as StepFormatName[]) {
  test(`${name}: the steps' scores are those of the format's own code, growing or whole`, async t => {
    const { separator } = stepFormats[name]
    const steps = ['then 7 🙂 in', 'then 数字 8', 'so the answer', 'is 15']
    const expected = await byItsOwnCode(t, name, steps)
    assert.equal(expected.length, steps.length)
    const growing = await opened(descriptor(name, modelOf[name], { aggregation: 'last' }))
    const products = await opened(descriptor(name, modelOf[name], { aggregation: 'prod' }))
    for (let count = 1; count <= steps.length; count++) {
      const text = steps.slice(0, count).join(separator)
      const [product] = await products.score(prompt, [answerOf(text, count === steps.length)])
      assert.ok(Math.abs(product! - expected.slice(0, count).reduce((sum, one) => sum * one, 1)) <= 1e-4)
      const [score] = await growing.score(prompt, [answerOf(text, count === steps.length)])
      assert.ok(Math.abs(score! - expected[count - 1]!) <= 1e-4,
        `step ${count}: ${score}, expected ${expected[count - 1]}`)
    }
    assert.equal(await growing.end(), 0)
    assert.equal(await products.end(), 0)
    for (const [aggregation, value] of [['min', Math.min(...expected)],
      ['prod', expected.reduce((product, one) => product * one, 1)],
      ['mean', expected.reduce((sum, one) => sum + one, 0) / 4]] as const) {
      const whole = await opened(descriptor(name, modelOf[name], { aggregation }))
      const [score] = await whole.score(prompt, [answerOf(steps.join(separator), true)])
      assert.ok(Math.abs(score! - value) <= 1e-4, `${aggregation}: ${score}, expected ${value}`)
      await whole.end()
    }
  })
}

test('an answer of twenty steps, scored after each, costs its tokens once', async t => {
  for (const name of ['math_shepherd', 'qwen'] as const) {
    const { separator, marker } = stepFormats[name]
    const { tokenizer } = await load(t, name)
    const steps = Array.from({ length: 20 }, (_, index) => `the step ${index}`)
    const whole = tokenizer.encodeTemplate([{ text: asked[name]('what is 7 + 8?', steps).text, trusted: true }]).length
    const one = await opened(descriptor(name, modelOf[name]))
    for (let count = 1; count <= steps.length; count++) {
      await one.score(prompt, [answerOf(steps.slice(0, count).join(separator), false)])
    }
    assert.equal(one.ledger.rewardTokens, whole, marker)
    // Two answers that go on from it, and one that was scored before: only what is new.
    const before = one.ledger.rewardTokens
    await one.score(prompt, [answerOf([...steps, 'a'].join(separator), true),
      answerOf([...steps, 'b'].join(separator), true), answerOf(steps.join(separator), true)])
    assert.ok(one.ledger.rewardTokens - before < 20, `${one.ledger.rewardTokens - before}`)
    await one.end()
  }
})

test('a format of one’s own, a window, an answer without steps', async () => {
  const own = { separator: ';', layout: 'text', marker: ' ok?', afterQuestion: ': ', verdicts: { good: 'a', bad: 'b' } }
  const one = await opened(descriptor(own, 'writer', { aggregation: 'max', window: 1 }))
  const [last, whole, blank] = [await one.score(prompt, [answerOf('x;y', true)]),
    await one.score(prompt, [answerOf('x;y;', true)]), await one.score(prompt, [answerOf(' ; ', true)])]
  assert.deepEqual(last, whole)
  assert.deepEqual(blank, [0.25])
  await one.end()
})

test('over HTTP each step’s probability is told, and a search grows by steps', async () => {
  const rewards = join(folder, 'rewards')
  mkdirSync(rewards)
  writeFileSync(join(rewards, 'sound.json'),
    JSON.stringify({ name: 'sound', description: 'x', ...descriptor('qwen', '../process', { aggregation: 'prod' }) }))
  const server = await tinyServer({ rewardsDir: rewards, format: 'f32' })
  try {
    const { json } = await server.post('/v1/rewards/score',
      { reward: 'sound', input: [{ prompt: 'what is 7 + 8?', answer: 'it is 15\n\nsurely' }] })
    const { raw, steps } = json['data'][0].rewards.sound as { raw: number, steps: number[] }
    assert.equal(steps.length, 2)
    assert.ok(Math.abs(raw - steps[0]! * steps[1]!) < 1e-5)
    const { status, json: guided } = await server.post('/v1/chat/completions', {
      model: 'tiny',
      messages: [{ role: 'user', content: 'say' }],
      max_tokens: 16,
      seed: 3,
      alignment: { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { delimiter: 'a' }, reward: 'sound' }
    })
    assert.equal(status, 200, JSON.stringify(guided))
    // What the search went by is the aggregation that was asked for, not the last step.
    const { raw: chosen, steps: grown } =
      guided['choices'][0].alignment.rewards.sound as { raw: number, steps: number[] }
    assert.ok(grown.length >= 1)
    assert.ok(Math.abs(chosen - grown.reduce((product, one) => product * one, 1)) < 1e-5)
  } finally {
    await server.close()
  }
})

test('a format that does not fit its model is refused, and says why', async () => {
  await assert.rejects(opened(descriptor('rlhflow', 'process')),
    /steps: verdicts .*process has a score head/)
  await assert.rejects(opened(descriptor('skywork', 'writer')),
    /steps: verdicts .*writer has no score head/)
  await assert.rejects(opened(descriptor({ ...stepFormats.math_shepherd, verdicts: { good: 'good', bad: 'b' } },
    'writer')), /verdicts must be one token each; "good" has 4 in writer/)
  await assert.rejects(opened(descriptor({ ...stepFormats.qwen, label: 2 }, 'process')),
    /label must be below 2, the number of scores of process; got 2/)
  await assert.rejects(opened(descriptor('deepseek', 'writer')), /\/steps/)
  // No model that has the marker, and none that was trained on it.
  writeTinyCheckpoint(join(folder, 'unmarked'), { family: 'qwen2', head: 'process', labels: 2 })
  const refused = async (steps: object, model: string, reason: RegExp): Promise<void> => {
    await assert.rejects(opened(descriptor(steps, model)), (error: unknown) => error instanceof RequestError &&
      error.code === 'invalid_request' && reason.test(error.message), String(reason))
  }
  await assert.rejects(opened(descriptor('qwen', 'unmarked')),
    /steps: marker must be one token; "<extra_0>" has 9 in unmarked/)
  await refused({ ...stepFormats.qwen, marker: ' [PRM] ' }, 'process', /marker must be one token; " \[PRM\] " has 7/)
  await refused({ ...stepFormats.rlhflow, marker: '<extra_0>' }, 'process', /verdicts/)
  await refused({ ...stepFormats.rlhflow, marker: '<|im_end|>' }, 'writer', /marker must be one token/)
  await refused({ ...stepFormats.rlhflow, verdicts: { good: '+', bad: '+' } }, 'writer', /both are token \d+ in writer/)
  await refused({ ...stepFormats.rlhflow, label: 1 }, 'writer', /label is of a score head/)
  await refused({ ...stepFormats.rlhflow, betweenSteps: ' ' }, 'writer', /betweenSteps is not used in the layout turns/)
  await refused({ ...stepFormats.qwen, afterQuestion: ' ' }, 'process', /afterQuestion is not used in the layout answer/)
  await refused({ ...stepFormats.skywork, label: 1 }, 'value', /label must be below 1, .*value; got 1/)
  writeTinyCheckpoint(join(folder, 'regression'),
    { family: 'qwen2', head: 'score', labels: 2, tokenizer: withMarker, config: { problem_type: 'regression' } })
  await refused(stepFormats.qwen, 'regression', /regression was trained by regression \(problem_type/)
  await assert.rejects(opened(descriptor({ ...stepFormats.qwen, head: 3 }, 'process')), /steps/)
})
