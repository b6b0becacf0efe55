/**
 * The arithmetic of a fit: a head at each layer, the best by cross-validation taken, measured on held-out data. Runs in a thread of its own
 * (`fit-thread.ts`); knows no policy and no thread.
 */
import { evaluateScore, type StateSet } from './evaluate.js'
import { ensembleOf } from './fit-ensemble.js'
import { fitHead } from './fit-head.js'
import type { FitProgress } from './fit-reward.js'
import { headOf, unpackStates, type FittedDescriptor, type FittedStates, type FitTask, type PackedStates } from './fit-task.js'
import { linearScore } from './head.js'

const objectives = { pairs: 'bradley_terry', labels: 'logistic', scores: 'regression' } as const

/** Fits a head at each layer; the best by cross-validation is taken. */
function chooseLayer (task: FitTask, onProgress: (progress: FitProgress) => void): FittedStates {
  const { train, test, lengths, layers, maxAnswerTokens } = task
  const count = train.answers.length
  const setsAt = (packed: PackedStates): { train: StateSet, test: StateSet } => {
    const states = unpackStates(packed)
    return {
      train: { ...train, states: states.slice(0, count), lengths: lengths.slice(0, count) },
      test: { ...test, states: states.slice(count), lengths: lengths.slice(count) }
    }
  }
  const candidates = layers.map(({ layer, states, pool }, index) => {
    onProgress({ phase: 'fit', done: index, total: layers.length })
    return { layer, states, pool, ...fitHead(setsAt(states).train, task.prefixes) }
  })
  const best = candidates.reduce((a, b) => b.gain! > a.gain! ? b : a)
  return {
    ...setsAt(best.states),
    best,
    pool: { states: unpackStates(best.pool), description: task.poolDescription },
    fit: {
      objective: objectives[train.kind],
      data: task.data.name,
      licence: task.data.licence,
      examples: train.samples.length,
      regularization: best.lambda,
      maxAnswerTokens,
      cutAnswers: lengths.filter(length => length > maxAnswerTokens).length
    }
  }
}

/** The fitted reward. */
export function runTask (task: FitTask, onProgress: (progress: FitProgress) => void): FittedDescriptor {
  const fitted = chooseLayer(task, onProgress)
  const { name, description } = task
  if (task.ensemble) return { name, description, ...ensembleOf(task, fitted, task.ensemble, onProgress) }
  const { best: { head }, train, test } = fitted
  const metrics = evaluateScore(state => linearScore(head.weights, head.bias, state), train, test, task.split, train.kind !== 'scores')
  const { weights, ...fields } = headOf(task, fitted, head)
  return { name, description, ...fields, fit: fitted.fit, metrics, weights }
}
