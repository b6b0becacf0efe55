/** The rewards in the box on the default model. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadConfig } from '../../src/config.js'
import { readAnswer } from '../../src/policies/local/answers.js'
import type { Output, Sequence } from '../../src/engine/sequence.js'
import { loadModel } from '../../src/models/model.js'
import { packageRoot } from '../../src/package-root.js'
import { loadRewards } from '../../src/rewards/descriptor.js'
import { rankCorrelation } from '../../src/statistics/metrics.js'
import { readablePolicy } from '../../src/rewards/readable-policy.js'
import { incompatibility } from '../../src/rewards/resolve-scorer.js'
import type { Answer, RewardMember } from '../../src/rewards/scorer.js'
import { createRuntime } from '../../src/serving/load-runtime.js'
import { closedAfter } from '../helpers/closed-after.js'
import { resolveAlone } from '../helpers/resolve-alone.js'

const { cacheDir } = loadConfig({}, {})
const model = await loadModel({ model: 'smollm2-135m', format: 'q8', threads: 2, cacheDir, contextLength: 512 })
const runtime = createRuntime(model, {
  maxSequences: 16,
  kvCacheBytes: 2 ** 30,
  prefixCacheBytes: 0,
  prefillTokensPerStep: 128,
  maxQueued: 0
})
const { engine } = runtime
const policy = readablePolicy(runtime)
const families = await loadRewards([join(packageRoot, 'models/rewards')])
after(async () => {
  await engine.close()
  model.dispose()
})

const messages = [{ role: 'user', content: 'Write a short review of a film.' }]
const tokensOf = async (text: string) => (await policy.tokens([{ messages, text }]))[0]!
const { promptTokens } = await tokensOf('')
const scorerOf = (name: string, member: RewardMember = 'outcome') =>
  resolveAlone(families, { rewards: [{ name, weight: 1 }], member, scale: 'standardized' }, policy)

/** The text as an answer, fed in one chunk. */
async function answerOf (text: string, layers: readonly number[]): Promise<Answer
  & { sequence: Sequence, output: Output }> {
  const sequence = engine.open(promptTokens, { layers })
  const { answerTokens: tokens } = await tokensOf(text)
  sequence.append(...tokens)
  const output = await sequence.output()
  return { ...readAnswer({ text, tokens, final: true }, sequence, output), sequence, output }
}

async function score (name: string, text: string): Promise<number> {
  const { scorer } = scorerOf(name)
  const answer = await answerOf(text, scorer.layers)
  try {
    return (await scorer.score({ messages: [], text: '', tokens: promptTokens }, [answer]))[0]!.value
  } finally {
    answer.sequence.close()
  }
}

test('the rewards in the box were fitted on the default model’s very weights', () => {
  for (const family of families) {
    assert.equal(incompatibility(family, policy), null)
    // One with a model of its own reads no states of this one: reader.test.ts.
    if (!family.source.load) assert.deepEqual(scorerOf(family.name).warnings, [])
  }
})

test('positive puts praise above criticism', async () => {
  const praise = await score('positive', 'A moving, beautifully acted film with a script that never puts a foot wrong.')
  const criticism =
    await score('positive', 'A dull, badly acted film with a script that falls apart after ten minutes.')
  assert.ok(praise > criticism + 1, `${praise} against ${criticism}`)
})

for (const name of ['helpful', 'helpful_ensemble']) {
  test(`${name} puts an answer above a refusal to give one`, async () => {
    const answer = await score(name,
      'This film follows two sisters who inherit a bakery. The acting is warm, the pace is calm, and the final scene ' +
        'is worth the wait. I would recommend it to anyone who likes quiet family stories.')
    const refusal = await score(name, 'film film I do not know what you want, ok, review it is a film I think so yes')
    assert.ok(answer > refusal + 1, `${answer} against ${refusal}`)
  })
}

/** The standardised score of tokens fed in chunks of some size to a sequence whose prompt was read before. */
async function scoreInChunks (tokens: readonly number[], size: number): Promise<number> {
  const { scorer } = scorerOf('positive', 'prefix')
  const sequence = engine.open(promptTokens, { layers: scorer.layers })
  try {
    await sequence.output()
    for (let start = 0; start < tokens.length; start += size) {
      sequence.append(...tokens.slice(start, start + size))
      await sequence.output()
    }
    const answer = readAnswer({ text: '', tokens, final: false }, sequence, await sequence.output())
    const [score] = await scorer.score({ messages: [], text: '', tokens: promptTokens }, [answer])
    return score!.value
  } finally {
    sequence.close()
  }
}

test('a score does not depend on how the answer was cut into chunks', async () => {
  const { answerTokens: tokens } =
    await tokensOf('The plot is thin, but the two leads carry it with charm to spare.')
  assert.equal(tokens.length % 4, 0)
  const whole = await scoreInChunks(tokens, tokens.length)
  assert.equal(await scoreInChunks(tokens, 4), whole)
  assert.equal(await scoreInChunks(tokens, 2), whole)
})

test('a score read token by token, as answers are written, is that of the whole read at once', async () => {
  const { answerTokens: tokens } =
    await tokensOf('The plot is thin, but the two leads carry it with charm to spare.')
  const difference = await scoreInChunks(tokens, 1) - await scoreInChunks(tokens, tokens.length)
  // Decode rows and chunks differ by 1e-6 in attention; 8-bit activations round that up to 0.04 (float32: 2e-6).
  assert.ok(Math.abs(difference) < 0.1, `${difference}`)
})

test('a token that is probed scores as when it is read, in half the layers', async t => {
  const { scorer } = scorerOf('positive', 'prefix')
  const read = await answerOf('The plot is thin, but the two leads carry', scorer.layers)
  closedAfter(t, read.sequence)
  const tokens = [...read.output.distribution.topIds.slice(0, 20)]
  const { runs } = engine.counters
  const probed = await Promise.all(tokens.map(async token => ({
    ...read, tokens: [...read.tokens, token], final: false, states: await read.sequence.probe(token)
  })))
  assert.equal(engine.counters.runs - runs, 1)
  const forked = await Promise.all(tokens.map(async token => {
    const fork = closedAfter(t, read.sequence.fork())
    fork.append(token)
    return { ...read, tokens: [...read.tokens, token], final: false, states: await fork.output() }
  }))
  const prompt = { messages: [], text: '', tokens: promptTokens }
  const [own, other] = [await scorer.score(prompt, probed), await scorer.score(prompt, forked)]
  for (const [index, { value }] of own.entries()) {
    assert.ok(Math.abs(value - other[index]!.value) < 0.1, `${value}, read ${other[index]!.value}`)
  }
})

for (const name of ['positive', 'helpful']) {
  test(`the Q-head of ${name} foretells how the likely next tokens rank, and runs nothing`, async t => {
    const { scorer } = scorerOf(name, 'next_token')
    const correlations: number[] = []
    for (const text of ['The film is', 'I was not', 'The plot of this film, in which two brothers fight over',
      'It is a']) {
      const answer = { ...await answerOf(text, scorer.layers), final: false }
      closedAfter(t, answer.sequence)
      const tokens =
        [...answer.output.distribution.topIds.slice(0, 20)].filter(token => !policy.endTokens.includes(token))
      const { runs } = engine.counters
      const foretold = scorer.scoreNext(answer, tokens)
      assert.equal(engine.counters.runs, runs)
      const read = []
      for (const token of tokens) {
        const sequence = closedAfter(t, answer.sequence.fork())
        sequence.append(token)
        const prefix =
          readAnswer({ text: '', tokens: [...answer.tokens, token], final: false }, sequence, await sequence.output())
        read.push((await scorer.score({ messages: [], text: '', tokens: promptTokens }, [prefix]))[0]!.value)
        sequence.close()
      }
      answer.sequence.close()
      correlations.push(rankCorrelation(foretold, read))
    }
    // Cards have what many places give.
    assert.ok(correlations.reduce((sum, one) => sum + one, 0) / correlations.length > 0.25, correlations.join())
  })
}

test('scoring runs nothing', async t => {
  const { scorer, ledger } = scorerOf('positive')
  const answer = await answerOf('A fine film.', scorer.layers)
  closedAfter(t, answer.sequence)
  const { runs } = engine.counters
  await scorer.score({ messages: [], text: '', tokens: promptTokens }, [answer])
  assert.deepEqual([engine.counters.runs, ledger.rewardTokens], [runs, 0])
})
