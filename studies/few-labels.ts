/**
 * What a few labels are worth, on the default model's hidden states of the answers that `helpful` is fitted on.
 *
 * Adapting: twenty made-up users, each with random weights on five things that can be counted in a text; the reward is
 * fitted on pairs that forty others of their kind labelled. Five pairs each, twenty times; accuracy on the user's
 * labels of the test pairs.
 * Suggesting: a head from 20 random pairs, then 20, 40 or 80 more of 500, suggested or at random (the mean of five
 * choices), over ten seeds; accuracy on the test pairs.
 *
 *   node dist/studies/few-labels.js --data DIR [--model NAME|PATH] [--threads N]
 */
import { suggestPairs, type Candidate } from '../src/fitting/active-learning.js'
import {
  withOpposites, mixHeads, pairAccuracy, randomHeads, type LinearHead, type StatePair
} from '../src/fitting/adapt-weights.js'
import type { Examples } from '../src/fitting/examples.js'
import { linearScore } from '../src/rewards/kinds/head.js'
import type { ReadablePolicy } from '../src/rewards/readable-policy.js'
import { columnScale, denseRows, fitBradleyTerry } from '../src/statistics/linear-fit.js'
import { meanAndStd } from '../src/statistics/metrics.js'
import { principalDirections } from '../src/statistics/pca.js'
import { normal, uniform } from '../src/statistics/random.js'
import { runProgram } from '../tools/program.js'
import { helpfulFit } from './rewards/data.js'
import { drawn, figureOf, showFigure, statesOf, studyOptions, withPolicy } from './setup.js'

const layer = 15
const [directionCount, lambda, users] = [16, 0.1, 20]

/** A pair of answers with their states; the first is the one that the judge preferred. */
interface Read { readonly texts: readonly [string, string], readonly states: readonly [Float32Array, Float32Array] }

async function read (
  policy: ReadablePolicy, cacheDirectory: string, examples: Examples, maxTokens: number | undefined
): Promise<Read[]> {
  if (examples.kind !== 'pairs') throw new Error('the data are pairs')
  const answers = examples.pairs.flatMap(({ messages, chosen, rejected }) =>
    [chosen, rejected].map(text => ({ messages, text })))
  const states = (await statesOf(policy, answers, { layer, cacheDirectory, maxTokens })).states.map(one => one.at(-1)!)
  return examples.pairs.map(({ chosen, rejected }, index) => ({
    texts: [chosen, rejected], states: [states[2 * index]!, states[2 * index + 1]!]
  }))
}

/** What can be counted: length, list lines, questions, length of words, talk of the reader. */
function attributes (text: string): number[] {
  const words = text.match(/\p{L}+/gu) ?? ['']
  const lines = text.split('\n')
  return [
    Math.log(words.length),
    lines.filter(line => /^\s*(?:[-*•]|\d+[.)])/.test(line)).length / lines.length,
    (text.match(/\?/g) ?? []).length / words.length,
    words.reduce((sum, word) => sum + word.length, 0) / words.length,
    words.filter(word => /^your?s?$/i.test(word)).length / words.length
  ]
}

/** Each pair as a user of some taste sees it. */
function labelled (
  pairs: readonly Read[], values: ReadonlyMap<string, readonly number[]>, taste: readonly number[]
): StatePair[] {
  const utility = (text: string): number => taste.reduce((sum, weight, i) => sum + weight * values.get(text)![i]!, 0)
  return pairs.map(({ texts, states }) => utility(texts[0]) >= utility(texts[1])
    ? { chosen: states[0], rejected: states[1] }
    : { chosen: states[1], rejected: states[0] })
}

/** Standardised differences of states. */
const differences = (pairs: readonly StatePair[], std: Float64Array): Float32Array[] =>
  pairs.map(({ chosen, rejected }) => chosen.map((value, i) => (value - rejected[i]!) / std[i]!))

function fitPairs (pairs: readonly StatePair[], std: Float64Array): LinearHead {
  const { weights } = fitBradleyTerry(
    denseRows(Float32Array.from(differences(pairs, std).flatMap(one => [...one])), std.length), { lambda }
  )
  return { weights: weights.map((weight, i) => weight / std[i]!), bias: 0 }
}

const figure = (values: readonly number[]): string => showFigure(figureOf(values))

/** Vectors of length 1 in random directions. */
function randomTaste (random: () => number): number[] {
  const weights = Array.from({ length: 5 }, () => normal(random))
  const length = Math.hypot(...weights)
  return weights.map(weight => weight / length)
}

/** What is counted in every text, standardised. */
function countsOf (pairs: readonly Read[]): Map<string, readonly number[]> {
  const texts = pairs.flatMap(pair => pair.texts)
  const raw = texts.map(attributes)
  const { mean, std } = columnScale(raw.map(one => Float32Array.from(one)))
  return new Map(texts.map((text, index) => [text, raw[index]!.map((value, i) => (value - mean[i]!) / std[i]!)]))
}

function adapting (train: readonly Read[], test: readonly Read[], std: Float64Array): void {
  const random = uniform(5)
  const values = countsOf([...train, ...test])
  const taste = (): number[] => randomTaste(random)
  const others = Array.from({ length: 40 }, taste)
  const everybody = train.flatMap((pair, index) => labelled([pair], values, others[index % others.length]!))
  const single = fitPairs(everybody, std)
  const heads = [single, ...withOpposites(principalDirections(differences(everybody, std), directionCount).map(one =>
    one.map((value, i) => value / std[i]!)))]
  // Draws of one user share its taste and its test pairs: a user is one observation.
  const rows = Array.from({ length: users }, taste).map((own, user) => {
    const [known, held] = [labelled(train, values, own), labelled(test, values, own)]
    const trials = Array.from({ length: 20 }, (_, trial) => {
      const few = drawn(known, 5, random)
      const guesses = randomHeads(heads.length, few, 100 * user + trial)
      return {
        adapted: pairAccuracy(mixHeads(heads, few).head, held), guessed: pairAccuracy(mixHeads(guesses, few).head, held)
      }
    })
    return {
      adapted: meanAndStd(trials.map(({ adapted }) => adapted)).mean,
      guessed: meanAndStd(trials.map(({ guessed }) => guessed)).mean,
      single: pairAccuracy(single, held)
    }
  })
  console.log(`adapted ${figure(rows.map(({ adapted }) => adapted))}; single head ` +
    `${figure(rows.map(row => row.single))}; random heads adapted ${figure(rows.map(({ guessed }) => guessed))}; ` +
    `adapted − single ${figure(rows.map(row => row.adapted - row.single))}; adapted − random ` +
    `${figure(rows.map(({ adapted, guessed }) => adapted - guessed))} (${users} users × 20 draws of 5 pairs, ` +
    `${heads.length} heads)`)
}

const [startPairs, candidatePairs, choices] = [20, 500, 5]

function suggesting (train: readonly Read[], test: readonly Read[], std: Float64Array): void {
  const asPair = ({ states: [chosen, rejected] }: Read): StatePair => ({ chosen, rejected })
  const held = test.map(asPair)
  const budgets = [20, 40, 80]
  const rows = Array.from({ length: 10 }, (_, seed) => {
    const random = uniform(seed)
    const all = drawn(train.map(asPair), startPairs + candidatePairs, random)
    const [first, rest] = [all.slice(0, startPairs), all.slice(startPairs)]
    const head = fitPairs(first, std)
    const candidate = (pair: StatePair): Candidate => ({
      difference: Float64Array.from(differences([pair], std)[0]!),
      margin: linearScore(head.weights, 0, pair.chosen) - linearScore(head.weights, 0, pair.rejected)
    })
    const picked =
      suggestPairs(rest.map(candidate), first.map(candidate), Math.max(...budgets)).map(({ index }) => rest[index]!)
    const accuracy = (more: readonly StatePair[]): number => pairAccuracy(fitPairs([...first, ...more], std), held)
    return budgets.map(count => ({
      suggested: accuracy(picked.slice(0, count)),
      random: meanAndStd(Array.from({ length: choices }, (_, choice) =>
        accuracy(rest.slice(count * choice, count * choice + count)))).mean
    }))
  })
  for (const [index, count] of budgets.entries()) {
    const own = rows.map(row => row[index]!)
    console.log(`${startPairs} + ${count} pairs: suggested ${figure(own.map(({ suggested }) => suggested))}; random ` +
      `${figure(own.map(({ random }) => random))}; suggested − random ` +
      `${figure(own.map(({ suggested, random }) => suggested - random))} (ten seeds)`)
  }
}

await runProgram({
  command: 'node dist/studies/few-labels.js',
  usage: '--data DIR [OPTIONS]',
  summary: 'What a few labels are worth: adapting a reward to a user, and suggesting pairs to label',
  options: studyOptions,
  run: args => withPolicy(args, async (policy, cacheDirectory) => {
    const fit = await helpfulFit(args.text('data'))
    const [train, test] = [await read(policy, cacheDirectory, fit.train, fit.maxAnswerTokens),
      await read(policy, cacheDirectory, fit.test, fit.maxAnswerTokens)]
    const { std } = columnScale(train.flatMap(({ states }) => states))
    adapting(train, test, std)
    suggesting(train, test, std)
  })
})
