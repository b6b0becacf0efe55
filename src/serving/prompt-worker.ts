/** The prompt thread: renders and tokenises, one job after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { RequestError } from '../errors.js'
import { openTexts } from '../models/formats/checkpoint.js'
import { promptJobs } from './prompt-jobs.js'
import type { PromptReply, PromptSource, PromptTask } from './prompt-messages.js'
import type { PromptModel } from './prompt-reader.js'

if (!parentPort) throw new Error('this file runs in a Worker')
const port = parentPort
const sources = workerData as readonly PromptSource[]

async function open ({ path, templates, contextLength }: PromptSource): Promise<PromptModel> {
  return { ...await openTexts(path, templates), contextLength }
}

/** By index; each is opened when it is first read with. */
const models = new Map<number, Promise<PromptModel>>()

function modelAt (index: number): Promise<PromptModel> {
  const model = models.get(index) ?? open(sources[index]!)
  models.set(index, model)
  return model
}

async function perform ({ model, name, input }: PromptTask): Promise<PromptReply> {
  try {
    return { output: promptJobs[name](await modelAt(model), input as never) }
  } catch (error) {
    if (error instanceof RequestError) return { error: error.toData() }
    return { failed: error instanceof Error ? error.stack ?? error.message : String(error) }
  }
}

port.on('message', (task: PromptTask) => {
  perform(task).then(reply => { port.postMessage(reply) }, (error: unknown) => { throw error })
})
// The model that is asked for unless another is named.
modelAt(0).catch(() => {})
