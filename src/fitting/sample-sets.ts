/**
 * What a fit learns from and what it is measured on: the examples as two sets, without pairs that say nothing, checked
 * before anything costly is done.
 */
import { RequestError } from '../errors.js'
import { asPairs, splitSamples, toSamples, type SampleSet } from './examples.js'
import type { FeatureItem } from './features.js'
import type { FitChoices } from './fit-task.js'

/** Fewer examples than this cannot be cross-validated and held out with any meaning. */
export const minExamples = 20

/** Two sets, and how many pairs were left out of both. */
export interface SampleSets { readonly train: SampleSet, readonly test: SampleSet, readonly equalPairs: number }

/** The examples, split where no test set is given. */
export function sampleSets ({ train, test }: Pick<FitChoices, 'train' | 'test'>): SampleSets {
  const sets = test ? { train: toSamples(train), test: toSamples(test) } : splitSamples(toSamples(train))
  return { ...sets, equalPairs: 0 }
}

/**
 * The sets without pairs whose answers are the same tokens: whatever is preferred there, it is not in what was read.
 * @param items of the answers of `train`, then of `test`, cut as they will be read
 */
export function withoutEqual ({ train, test }: SampleSets, items: readonly FeatureItem[]): SampleSets {
  const keys = items.map(({ promptTokens, answerTokens }) => `${promptTokens.join()}|${answerTokens.join()}`)
  const differing = ({ samples, ...set }: SampleSet, from: number): SampleSet => ({
    ...set,
    samples: samples.filter(({ answer, against }) => against === null || keys[from + answer] !== keys[from + against])
  })
  const sets = { train: differing(train, 0), test: differing(test, train.answers.length) }
  const left = (set: SampleSet, kept: SampleSet): number => set.samples.length - kept.samples.length
  return { ...sets, equalPairs: left(train, sets.train) + left(test, sets.test) }
}

const refuse = (param: string, problem: string): RequestError => new RequestError('invalid_request', problem, { param })

/** @throws RequestError for a set that nothing can be learnt from, or nothing measured on */
export function checkSets (
  { train, test, equalPairs }: SampleSets, { test: given }: Pick<FitChoices, 'test'>, maxAnswerTokens: number
): void {
  const count = train.samples.length + (given ? 0 : test.samples.length)
  if (count < minExamples) {
    throw refuse('examples', `a fit requires at least ${minExamples} examples that say something; got ${count}, and ` +
      `${equalPairs} pairs whose answers are equal in their first ${maxAnswerTokens} tokens`)
  }
  checkSet('train', train, 'examples')
  checkSet('test', test, given ? 'test' : 'examples')
  const clusters = new Set(asPairs(test).samples.map(({ group }) => group)).size
  if (clusters < 2) {
    throw refuse(given ? 'test' : 'examples', 'the test data must hold at least two prompts (or, of fewer than ten ' +
      `prompts, two answers), or its error is not known; got ${clusters}`)
  }
}

function checkSet (name: string, set: SampleSet, param: string): void {
  const { kind, samples } = set
  if (samples.length === 0) {
    throw refuse(param, `the ${name} data must contain at least one example that says something; got none`)
  }
  if (kind === 'labels' && new Set(samples.map(sample => sample.label)).size < 2) {
    throw refuse(param, `the ${name} data must contain both labels; got only ${samples[0]!.label === 1 ? 1 : 0}`)
  }
  if (kind === 'scores' && asPairs(set).samples.length === 0) {
    throw refuse(param, `the ${name} data must contain answers to the same prompt with different scores; got none`)
  }
}
