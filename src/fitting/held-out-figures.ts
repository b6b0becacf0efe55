/**
 * A fitted reward's held-out figures and the controls beside them: what accuracy is worth more than length, chance or
 * words give. Knows samples and scores, not how states are made.
 */
import type { RewardMetrics } from '../rewards/descriptor-parts.js'
import { asPairs, type SampleSet } from './examples.js'
import { fractions, type PrefixStates } from './features.js'
import { columnScale, denseRows, fitLogistic, unscale } from '../statistics/linear-fit.js'
import { linearScore } from '../rewards/kinds/head.js'
import {
  areaUnderCurve, calibrationError, clusteredMean, correctness, meanAndStd, rounded
} from '../statistics/metrics.js'
import { normal, uniform } from '../statistics/random.js'
import { TextClassifier } from '../statistics/tfidf.js'

/** Samples with what was read of their answers; `states` and `lengths` go by answer index. */
export interface StateSet extends SampleSet {
  readonly states: readonly PrefixStates[]
  /** Tokens of each whole answer, before any cut. */
  readonly lengths: readonly number[]
}

/** score(answer) − score(against), or the score alone, per sample. */
export function margins ({ samples }: SampleSet, scoreOf: (answer: number) => number): number[] {
  return samples.map(({ answer, against }) => scoreOf(answer) - (against === null ? 0 : scoreOf(against)))
}

/** Whole-answer accuracy of some scores. */
function accuracy (set: SampleSet, scoreOf: (answer: number) => number): number {
  return meanAndStd(correctness(margins(set, scoreOf), set.samples.map(sample => sample.label))).mean
}

/** The score of a state, as a reward gives it. @param whole false for a prefix */
export type StateScore = (state: Float32Array, whole: boolean) => number

/**
 * Accuracy by share of the answer read, calibration, and controls fitted on the training set. Scored sets are judged by
 * their pairs.
 * @param split what the test set is, for the card
 * @param isLogit whether σ(score) claims to be a probability
 */
export function evaluateScore (
  score: StateScore, trainSet: StateSet, testSet: StateSet, split: string, isLogit: boolean
): RewardMetrics {
  const [train, test] = [asPairs(trainSet), asPairs(testSet)]
  const labels = test.samples.map(sample => sample.label)
  const clusters = test.samples.map(sample => sample.group)
  const paired = test.kind === 'pairs'
  const last = fractions.length - 1
  const perFraction = fractions.map((_fraction, index) =>
    margins(test, answer => score(test.states[answer]![index]!, index === last)))
  const byPrefix = perFraction.map((values, index) => {
    const { value, standardError } = clusteredMean(correctness(values, labels), clusters)
    const auc = paired ? {} : { auc: rounded(areaUnderCurve(values, labels)) }
    return { fraction: fractions[index]!, accuracy: rounded(value), standardError: rounded(standardError), ...auc }
  })
  return {
    measure: paired ? 'pair_accuracy' : 'accuracy',
    split,
    examples: test.samples.length,
    clusters: new Set(clusters).size,
    byPrefix,
    ...(isLogit ? { calibrationError: rounded(calibration(perFraction[last]!, labels, paired)) } : {}),
    controls: {
      lengthOnly: rounded(lengthControl(train, test)),
      ...randomControl(train, test),
      tfidf: rounded(textControl(train, test))
    }
  }
}

/** Each pair counts in both orders: only then are there labels of both kinds. */
function calibration (whole: readonly number[], labels: readonly number[], paired: boolean): number {
  return paired
    ? calibrationError([...whole, ...whole.map(value => -value)], [...labels, ...labels.map(label => -label)])
    : calibrationError(whole, labels)
}

/** A logistic fit on log-length alone. */
function lengthControl (train: StateSet, test: StateSet): number {
  const scale = columnScale(train.lengths.map(length => Float32Array.of(Math.log(length))))
  const feature = (set: StateSet) => (answer: number): number =>
    (Math.log(set.lengths[answer]!) - scale.mean[0]!) / scale.std[0]!
  const rows = denseRows(Float64Array.from(margins(train, feature(train))), 1)
  const fit = fitLogistic(rows, train.samples.map(sample => sample.label),
    { lambda: 0, intercept: train.kind !== 'pairs' })
  return accuracy(test, answer => fit.weights[0]! * feature(test)(answer) + fit.intercept)
}

/** Twenty heads of normal random weights on standardised states: mean and spread of their accuracies. */
function randomControl (train: StateSet, test: StateSet): { randomHead: number, randomHeadStd: number } {
  const random = uniform(7)
  const scale = columnScale(train.states.map(states => states.at(-1)!))
  const accuracies = Array.from({ length: 20 }, () => {
    const { weights, bias } =
      unscale({ weights: Float64Array.from(scale.mean, () => normal(random)), intercept: 0 }, scale)
    return accuracy(test, answer => linearScore(weights, bias, test.states[answer]!.at(-1)!))
  })
  const { mean, std } = meanAndStd(accuracies)
  return { randomHead: rounded(mean), randomHeadStd: rounded(std) }
}

/** TF-IDF and logistic regression on the training texts. */
function textControl (train: StateSet, test: StateSet): number {
  const classifier = TextClassifier.fit(train.samples.map(({ answer, against, label }) => ({
    text: train.answers[answer]!.text, against: against === null ? null : train.answers[against]!.text, label
  })))
  const scores = test.answers.map(answer => classifier.score(answer.text))
  return accuracy(test, answer => scores[answer]!)
}
