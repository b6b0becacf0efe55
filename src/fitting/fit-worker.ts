/**
 * The thread of a fit: fits a head at each layer, takes the best by cross-validation and measures it on held-out data.
 * Takes a task, sends progress and the fitted reward, ends. The other side is `fit-thread.ts`.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { linearScore } from '../rewards/kinds/head.js'
import { columnScale } from '../statistics/linear-fit.js'
import { significant } from '../statistics/metrics.js'
import { principalDirections } from '../statistics/pca.js'
import { ensembleOf } from './fit-ensemble.js'
import { fitHead } from './fit-head.js'
import {
  headOf, unpackStates, type FitProgress, type FittedDescriptor, type FittedStates, type FitTask, type PackedStates
} from './fit-task.js'
import type { FitJob, FromFitWorker } from './fit-thread.js'
import { fitForm } from './fit-token-form.js'
import { evaluateScore, type StateSet } from './held-out-figures.js'

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
      cutAnswers: lengths.filter(length => length > maxAnswerTokens).length,
      ...(task.equalPairs > 0 ? { equalPairs: task.equalPairs } : {})
    }
  }
}

/** Principal directions of chosen − rejected on states scaled by their spread, as weights on raw states. */
function directionsOf ({ samples, states }: StateSet, count: number): number[][] {
  const whole = states.map(answer => answer.at(-1)!)
  const { std } = columnScale(whole)
  const differences = samples.map(({ answer, against }) =>
    whole[answer]!.map((value, i) => (value - whole[against!]![i]!) / std[i]!))
  return principalDirections(differences, count).map(direction =>
    Array.from(direction, (value, i) => significant(value / std[i]!)))
}

/** The fitted reward. */
function runTask (task: FitTask, onProgress: (progress: FitProgress) => void): FittedDescriptor {
  const fitted = chooseLayer(task, onProgress)
  const { name, description } = task
  if (task.ensemble) return { name, description, ...ensembleOf(task, fitted, task.ensemble, onProgress) }
  const { best: { head }, train, test } = fitted
  const metrics = evaluateScore(state => linearScore(head.weights, head.bias, state), train, test, task.split,
    train.kind !== 'scores')
  const { weights, ...fields } = headOf(task, fitted, head)
  const directions = task.directions === undefined ? {} : { directions: directionsOf(train, task.directions) }
  return { name, description, ...fields, fit: fitted.fit, metrics, ...directions, weights }
}

if (!parentPort) throw new Error('this file runs in a Worker')
const port = parentPort
const send = (message: FromFitWorker): void => { port.postMessage(message) }

const job = workerData as FitJob

send({
  type: 'fitted',
  fitted: job.type === 'form'
    ? fitForm(job.task)
    : runTask(job.task, progress => { send({ type: 'progress', progress }) })
})
