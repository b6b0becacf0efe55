/** The thread of a fit: takes a task, sends progress and what was fitted, ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { runTask } from './fit-run.js'
import type { FitTask } from './fit-task.js'
import type { FromFitWorker } from './fit-thread.js'

if (!parentPort) throw new Error('this file runs in a Worker')
const port = parentPort
const send = (message: FromFitWorker): void => { port.postMessage(message) }

send({
  type: 'fitted', descriptor: runTask(workerData as FitTask, progress => { send({ type: 'progress', progress }) })
})
