/** The thread of a fit: takes a task, sends progress and what was fitted, ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { runTask } from './fit-run.js'
import type { FitJob, FromFitWorker } from './fit-thread.js'
import { fitForm } from './fit-token-form.js'

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
