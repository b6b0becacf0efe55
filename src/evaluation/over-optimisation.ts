/**
 * The over-optimisation study: one head against the rules that combine five (Coste et al. 2024, arXiv 2310.02743), each
 * optimised by best-of-n. Two groups: the built-in ensemble, and small noisy fits, whose pairs the judge labels, some
 * wrongly (Gao et al. 2023, arXiv 2210.10760).
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LocalModel } from '../serving/served-models.js'
import { parseRewardFamily, type Naming, type RewardFamily } from '../rewards/descriptor.js'
import { readablePolicy } from '../rewards/readable-policy.js'
import type { EnsembleDescriptor } from '../rewards/kinds/ensemble.js'
import type { Pair } from '../fitting/examples.js'
import type { FitProgress } from '../fitting/fit-task.js'
import { fitReward } from '../fitting/fit-reward.js'
import { uniform } from '../statistics/random.js'
import type { SamplingRun } from './sampling-runs.js'
import { messagesOf } from './sampling-runs.js'

/** A proxy reward of the study. */
export interface Variant { readonly label: string, readonly family: RewardFamily }

/** Weight of variance and standard deviation. */
const penalty = 1

/** One head, and its ensemble by each rule. @param prefix of the families' names, unique in the server */
export function variantsOf (ensemble: EnsembleDescriptor, prefix: string): Variant[] {
  const { scorers } = ensemble
  const variants: ReadonlyArray<readonly [string, object]> = [
    ['single', scorers[0]!],
    ['mean', { kind: 'ensemble', combine: 'mean', scorers }],
    ['min', { kind: 'ensemble', combine: 'min', scorers }],
    ['uwo', { kind: 'ensemble', combine: 'uwo', penalty, scorers }],
    ['lcb', { kind: 'ensemble', combine: 'lcb', penalty, scorers }]
  ]
  return variants.map(([label, fields]) => {
    const name = `${prefix}-${label}`
    return {
      label, family: parseRewardFamily(JSON.stringify({ name, description: `${label} of the panel`, ...fields }), name)
    }
  })
}

/** Answers to each training prompt: two make a pair. */
export const trainingAnswers = 8
/** Prompts that small fits are trained on: four pairs of each. */
export const trainingPrompts = 25
/** Share of the pairs whose label is flipped. */
export const flipped = 0.25

/**
 * Pairs of neighbouring answers, labelled by the judge, some of them wrongly; equal and empty answers make none.
 * @param judge scores of each draw's answers
 */
export function noisyPairs (draws: readonly SamplingRun[], judge: ReadonlyArray<readonly number[]>): Pair[] {
  const random = uniform(11)
  return draws.flatMap((
    { prompt, answers }, index
  ) => Array.from({ length: answers.length >> 1 }, (_, pair): Pair[] => {
    const [a, b] = [2 * pair, 2 * pair + 1]
    const wrong = random() < flipped
    const [first, second, scores] = [answers[a]!.text, answers[b]!.text, judge[index]!]
    if (scores[a] === scores[b] || first.trim() === '' || second.trim() === '') return []
    const firstChosen = (scores[a]! > scores[b]!) !== wrong
    return [
      { messages: messagesOf(prompt), chosen: firstChosen ? first : second, rejected: firstChosen ? second : first }
    ]
  }).flat())
}

/**
 * An ensemble fitted on pairs; kept in a file of a folder that goes by the pairs, and taken from there the next time.
 */
export async function smallFits (
  served: LocalModel, pairs: readonly Pair[], folder: string, signal: AbortSignal,
  onProgress: (progress: FitProgress) => void
): Promise<Naming & EnsembleDescriptor> {
  const file = join(folder,
    `small-fits-${createHash('sha256').update(JSON.stringify(pairs)).digest('hex').slice(0, 12)}.json`)
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Naming & EnsembleDescriptor
  const { model: { config: { layers } }, config } = served
  const descriptor = await fitReward({
    name: 'small-fits',
    description: `Heads of the over-optimisation panel: ${pairs.length} pairs that the judge labelled, ` +
      `${100 * flipped} % of them wrongly`,
    policy: readablePolicy(served),
    train: { kind: 'pairs', pairs },
    data: { name: 'the policy’s own answers, labelled by the judge', licence: 'none' },
    layers: [Math.round(layers / 2)],
    pooling: 'mean',
    prefixes: false,
    ensemble: { heads: 5, uncertainty: 'bootstrap', combine: 'mean', penalty: 0 },
    cacheDirectory: join(config.cacheDir, 'features'),
    onProgress,
    signal
  })
  writeFileSync(file, `${JSON.stringify(descriptor)}\n`)
  return descriptor
}
