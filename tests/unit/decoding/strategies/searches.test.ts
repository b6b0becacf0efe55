/** Searches that fork: what they draw against enumeration, and the traps of published code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocate } from '../../../../src/decoding/strategies/rebase.js'
import { softmaxWeights } from '../../../../src/decoding/selection/selection-rules.js'
import { everyStrategy, indifferent, oddities, oddity, run, textOf, tokensOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, tally, tuples } from '../../../helpers/statistics.js'
import { enumerate, ToyPolicy, toyPrompt, toyScorer } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 3, seed: 4 })
const sampling = { maxTokens: 2 }

async function draw (alignment: Record<string, unknown>, rounds: number): Promise<string[]> {
  const texts: string[] = []
  for (let seed = 0; seed < rounds; seed++) {
    texts.push((await run(alignment, { policy, sampling, seed, scorer: oddities })).result.choices[0]!.text)
  }
  return texts
}

interface Block { readonly tokens: readonly number[], readonly ended: boolean, readonly probability: number }

/** Every next token of a prefix, an end token or the last one ending the answer. */
const blocks = (tokens: readonly number[]): Block[] => Array.from({ length: policy.size }, (_, token) => {
  const ends = token === policy.endToken
  const grown = ends ? tokens : [...tokens, token]
  return {
    tokens: grown,
    ended: ends || grown.length === sampling.maxTokens,
    probability: Math.exp(policy.logProbability([...toyPrompt.tokens, ...tokens], token))
  }
})

/**
 * Blockwise choice among k one-token blocks, enumerated to the end.
 * @param weigh chance of each block of a tuple to be chosen
 */
function blockwise (
  k: number, weigh: (rewards: readonly number[]) => readonly number[], tokens: readonly number[] = [], probability = 1
): Map<string, number> {
  const outcomes = tuples(blocks(tokens), k).flatMap(drawn => {
    const chance = drawn.reduce((product, one) => product * one.probability, probability)
    return weigh(drawn.map(one => oddity(one.tokens))).flatMap((weight, index) =>
      weight === 0 ? [] : [{ block: drawn[index]!, probability: chance * weight }])
  })
  const byBlock = [...tally(outcomes, ({ block }) => JSON.stringify([block.tokens, block.ended]), one =>
    one.probability)]
  return tally(byBlock.flatMap(([key, p]): Array<readonly [string, number]> => {
    const [grown, ended] = JSON.parse(key) as [number[], boolean]
    return ended ? [[textOf(grown), p]] : [...blockwise(k, weigh, grown, p)]
  }), ([answer]) => answer, ([, p]) => p)
}

const first = (rewards: readonly number[]): number[] =>
  rewards.map((_, index) => index === rewards.indexOf(Math.max(...rewards)) ? 1 : 0)

test('one beam draws from the distribution of blockwise best-of-K', async () => {
  assertDrawnFrom(blockwise(2, first),
    await draw({ strategy: 'beam_search', num_beams: 1, num_children: 2, step: { tokens: 1 } }, 1000), 'top')
})

test('one beam that samples draws a block ∝ exp(strength · reward)', async () => {
  const expected = blockwise(2, rewards => softmaxWeights(rewards, 0.7))
  assertDrawnFrom(expected, await draw(
    { strategy: 'beam_search', num_beams: 1, num_children: 2, step: { tokens: 1 }, keep: 'sample', strength: 0.7 }, 1000
  ), 'sample')
})

test('a tree of DVTS is a beam search with one beam, and trees of one child are best-of-n', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const given = { scorer: oddities, seed, sampling: { maxTokens: 5 } }
    const tree = await run({ strategy: 'dvts', num_trees: 1, num_children: 3, step: { tokens: 2 } }, given)
    const beam = await run({ strategy: 'beam_search', num_beams: 1, num_children: 3, step: { tokens: 2 } }, given)
    assert.deepEqual(tree.result.choices, beam.result.choices)
    const trees = await run({ strategy: 'dvts', num_trees: 5, num_children: 1, step: { tokens: 2 } }, given)
    const best = await run({ strategy: 'best_of_n', num_candidates: 5 }, given)
    assert.deepEqual(trees.result.choices, best.result.choices)
  }
})

test('trees of DVTS do not compete: each ends in answers that are candidates, and siblings that did not end ' +
  'are none', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { result } = await run({ strategy: 'dvts', num_trees: 3, num_children: 2, step: { tokens: 1 } },
      { scorer: oddities, seed, sampling: { maxTokens: 5 } })
    const rootOf = (index: number): number => {
      const { parent } = result.candidates.find(one => one.index === index)!
      return parent === null ? index : rootOf(parent)
    }
    const answers = result.candidates.filter(one => one.prunedAt === null)
    assert.deepEqual([...new Set(answers.map(one => Math.floor(rootOf(one.index) / 2)))].sort(), [0, 1, 2])
    assert.ok(answers.every(one => one.finishReason !== null))
    assert.equal(result.choices[0]!.score!.value, Math.max(...answers.map(one => one.score!.value)))
  }
})

test('many steps between two scorings make a beam search best-of-n, and beams branch in the last ' +
  'step only', async () => {
  let scorings = 0
  const counting = toyScorer(tokens => { scorings++; return oddity(tokens) })
  for (let seed = 0; seed < 15; seed++) {
    const given = { seed, sampling: { maxTokens: 6 } }
    const far =
      await run({ strategy: 'beam_search', num_beams: 2, num_children: 3, step: { tokens: 1 }, score_every: 100 },
        { scorer: oddities, ...given })
    const best = await run({ strategy: 'best_of_n', num_candidates: 6 }, { scorer: oddities, ...given })
    assert.deepEqual(far.result.choices, best.result.choices)
  }
  const { result } =
    await run({ strategy: 'beam_search', num_beams: 1, num_children: 3, step: { tokens: 1 }, score_every: 3 },
      { scorer: counting, seed: 1, sampling: { maxTokens: 6, ignoreEos: true } })
  // Three candidates for 3 tokens, one beam for 2 more, three children for the last.
  assert.equal(result.generatedTokens, 3 * 3 + 2 + 3)
  assert.equal(scorings, 3 + 3)
})

test('what looks ahead is scored with the tokens it looked at, greedily drawn, and returned with its ' +
  'own score', async () => {
  const scored: Array<readonly number[]> = []
  const scorer = toyScorer((tokens, answer) => { if (!answer.final) scored.push(tokens); return oddity(tokens) })
  const toy = new ToyPolicy({ size: 4, seed: 9 })
  const greedy = (tokens: readonly number[]): number => {
    const logits = toy.logits([...toyPrompt.tokens, ...tokens])
    return logits.indexOf(Math.max(...logits))
  }
  const { result } =
    await run({ strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 2 }, lookahead_tokens: 3 },
      { policy: toy, scorer, seed: 2, sampling: { maxTokens: 9, ignoreEos: true } })
  assert.ok(scored.length >= 8)
  for (const tokens of scored) {
    assert.equal((tokens.length - 3) % 2, 0)
    for (let at = tokens.length - 3; at < tokens.length; at++) assert.equal(tokens[at], greedy(tokens.slice(0, at)))
  }
  assert.equal(result.choices[0]!.score!.value, oddity(tokensOf(result.choices[0]!.text)))
  // Three rounds of four look-aheads of three tokens, one of the single token that is left, and the last token of four
  // finished answers.
  assert.equal(result.rewardTokens, 3 * 4 * 3 + 4 + 4)
  assert.equal(toy.open, 0)
})

test('look-ahead changes what survives: it finds the reward that only the end of an answer has', async () => {
  // Only the whole answer tells: a prefix by itself is worth nothing.
  const scorer = toyScorer(tokens => tokens.length < 4 ? 0 : oddity(tokens))
  const mean = async (lookahead: number): Promise<number> => {
    let sum = 0
    for (let seed = 0; seed < 60; seed++) {
      sum += (await run(
        { strategy: 'beam_search', num_beams: 1, num_children: 4, step: { tokens: 1 }, lookahead_tokens: lookahead },
        { scorer, seed, sampling: { maxTokens: 4, ignoreEos: true } }
      )).result.choices[0]!.score!.value
    }
    return sum / 60
  }
  assert.ok(await mean(3) > await mean(0) + 0.2)
})

test('a delimiter ends a step with the token that completes it, and a step without content is none', async () => {
  const letters = 'a\nb.'
  const scored: string[] = []
  const scorer = toyScorer((_, answer) => { if (!answer.final) scored.push(answer.text); return answer.text.length })
  for (let seed = 0; seed < 20; seed++) {
    await run({ strategy: 'beam_search', num_beams: 2, num_children: 2, step: { delimiter: '\n' } },
      { policy: new ToyPolicy({ seed: 3 }), letters, scorer, seed, sampling: { maxTokens: 12, ignoreEos: true } })
  }
  assert.ok(scored.length > 50)
  for (const prefix of scored) {
    assert.ok(prefix.endsWith('\n'))
    const steps = prefix.slice(0, -1).split('\n')
    assert.notEqual(steps.at(-1), '', JSON.stringify(prefix))
  }
})

test('the allocation of REBASE sums to the width, gives more to better nodes, and is the paper’s', () => {
  // Masses e⁰, e⁻¹, e⁻² of 8: ⌈8 · 1 / 1.503⌉ = 6, then ⌈2 · .368 / .503⌉ = 2, then nothing is left.
  assert.deepEqual(allocate([1, 0.8, 0.6], 8, 0.2), [6, 2, 0])
  assert.deepEqual(allocate([0.6, 1, 0.8], 8, 0.2), [0, 6, 2])
  assert.deepEqual(allocate([2, 2, 2, 2], 4, 0.2), [1, 1, 1, 1])
  assert.deepEqual(allocate([1000, -1000, 0], 5, 0.001), [5, 0, 0])
  for (let seed = 0; seed < 300; seed++) {
    const rewards = Array.from({ length: 1 + seed % 17 }, (_, index) => 3 * Math.sin(seed * 7.3 + index * 1.7))
    const width = rewards.length + seed % 5
    const children = allocate(rewards, width, 0.05 + (seed % 7) / 3)
    assert.equal(children.reduce((sum, one) => sum + one, 0), width)
    for (const [i, a] of rewards.entries()) {
      for (const [j, b] of rewards.entries()) {
        if (a > b) assert.ok(children[i]! >= children[j]! || children[j]! - children[i]! <= 1)
      }
    }
  }
})

test('REBASE keeps its width, answers that have ended included; with a constant reward it is best-of-n', async () => {
  for (let seed = 0; seed < 15; seed++) {
    const given = { seed, sampling: { maxTokens: 5 } }
    const { result } = await run({ strategy: 'rebase', width: 6, step: { tokens: 1 } }, { scorer: oddities, ...given })
    assert.equal(result.candidates.filter(one => one.prunedAt === null).length, 6)
    const flat = await run({ strategy: 'rebase', width: 6, step: { tokens: 1 } }, { scorer: indifferent, ...given })
    const best = await run({ strategy: 'best_of_n', num_candidates: 6 }, { scorer: indifferent, ...given })
    assert.deepEqual(flat.result.candidates, best.result.candidates)
  }
})

test('speculative rejection draws from the distribution that enumeration of all pairs gives', async () => {
  const answers = enumerate(policy, 2)
  const outcomes = tuples(answers, 2).map(pair => {
    // After one token the worse prefix is rejected, ties for the first; an answer that has ended is its own prefix.
    const [one, other] = pair as [typeof answers[number], typeof answers[number]]
    const prefix = (tokens: readonly number[]): number => oddity(tokens.slice(0, 1))
    const kept = prefix(other.tokens) > prefix(one.tokens) ? other : one
    return { kept, probability: one.probability * other.probability }
  })
  const expected = tally(outcomes, one => textOf(one.kept.tokens), one => one.probability)
  assertDrawnFrom(expected,
    await draw({ strategy: 'speculative_rejection', num_candidates: 2, reject_fraction: 0.5, checkpoints: [1] }, 1000),
    'pairs')
})

test('speculative rejection draws N·t₁ + N/2·(t₂ − t₁) + … tokens, rejects the worst half, and without rejection is ' +
  'best-of-n', async () => {
  const given = { scorer: oddities, seed: 4, sampling: { maxTokens: 9, ignoreEos: true } }
  const { result } = await run(
    { strategy: 'speculative_rejection', num_candidates: 8, reject_fraction: 0.5, checkpoints: [2, 4] }, given
  )
  assert.equal(result.generatedTokens, 8 * 2 + 4 * 2 + 2 * 5)
  const at = (checkpoint: number): number[] =>
    result.candidates.filter(one => one.prunedAt === checkpoint).map(one => one.score!.value)
  assert.deepEqual([at(2).length, at(4).length], [4, 2])
  const plain = await run({ strategy: 'best_of_n', num_candidates: 8 }, given)
  const prefixes = plain.result.candidates.map(one => oddity(tokensOf(one.text).slice(0, 2))).sort((a, b) => a - b)
  assert.deepEqual(at(2).sort((a, b) => a - b), prefixes.slice(0, 4))
  for (let seed = 0; seed < 10; seed++) {
    const all =
      await run({ strategy: 'speculative_rejection', num_candidates: 6, reject_fraction: 0, checkpoints: [1, 2] },
        { scorer: oddities, seed })
    const best = await run({ strategy: 'best_of_n', num_candidates: 6 }, { scorer: oddities, seed })
    assert.deepEqual(all.result.choices, best.result.choices)
  }
})

test('a trace has every step of a search, whether it was shown or not, and changes nothing', async () => {
  for (const alignment of everyStrategy) {
    const given = { scorer: oddities, seed: 3, sampling: { maxTokens: 4, ignoreEos: true } }
    const plain = await run(alignment, given)
    const shown = await run({ ...alignment, return_progress: true, return_trace: true }, given)
    const { result, events } = await run({ ...alignment, return_trace: true }, given)
    assert.ok(events.every(event => event.type !== 'progress'))
    const { trace, ...rest } = result
    assert.deepEqual(rest, plain.result)
    assert.deepEqual(shown.result.trace, trace)
    const steps = shown.events.flatMap(event => event.type === 'progress' ? [event] : [])
    assert.deepEqual(trace!.map(({ step, kept, dropped }) => [step, [...kept, ...dropped].map(([index]) => index)]),
      steps.map(({ step, candidates }) => [step, candidates.map(one => one.index)]))
    for (const { dropped } of trace!) {
      for (const [index, reward] of dropped) {
        assert.equal(reward, result.candidates.find(one => one.index === index)!.score!.value)
      }
    }
  }
})

test('progress names every candidate of a step, its parent, and whether it was kept', async () => {
  const { events, result } =
    await run({ strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 1 }, return_progress: true },
      { scorer: oddities, seed: 3, sampling: { maxTokens: 4, ignoreEos: true } })
  const steps = events.flatMap(event => event.type === 'progress' ? [event] : [])
  assert.deepEqual(steps.map(one => one.step), [1, 2, 3, 4])
  for (const { candidates } of steps) {
    assert.deepEqual(candidates.map(one => one.kept), [true, true, false, false])
    const [worstKept, bestDropped] = [candidates[1]!.reward!, candidates[2]!.reward!]
    assert.ok(worstKept >= bestDropped)
    for (const { index, parent } of candidates) {
      assert.equal(parent, result.candidates.find(one => one.index === index)!.parent)
    }
  }
})
