/** The inference thread: runs requests that come as messages and sends their events back. Knows no HTTP. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Config } from '../settings.js'
import { RequestError, requestCancelled } from '../errors.js'
import { adapt, suggest } from './adapt-and-suggest.js'
import { embed } from './embeddings.js'
import { fit } from './fit-queue.js'
import { generate } from './run-request.js'
import type { CallName, Calls, FittingProgress } from './calls.js'
import type { FromWorker, ToWorker } from './messages.js'
import type { Used } from './protocol.js'
import { infoOf, modelInfo, stats, usableRewards } from './reports.js'
import { score } from './score-answers.js'
import { ServedModels } from './served-models.js'
import { detokenize, tokenize, tokenizerInfo } from './tokenize.js'

if (!parentPort) throw new Error('this file runs in a Worker')
const port = parentPort
const send = (message: FromWorker): void => { port.postMessage(message) }

/** Requests that run, by id. */
const running = new Map<number, AbortController>()

/** The error sent to the caller: a RequestError unchanged, anything else as an internal error, which is logged here. */
function toRequestError (error: unknown): RequestError {
  if (error instanceof RequestError) return error
  console.error(error)
  return new RequestError('internal_error', 'The server had an error while processing the request')
}

async function run (id: number, work: (signal: AbortSignal, used: Used) => Promise<void>): Promise<void> {
  const used: Used = { generatedTokens: 0, rewardSeconds: {} }
  const controller = new AbortController()
  running.set(id, controller)
  try {
    await work(controller.signal, used)
    send({ type: 'done', id, used })
  } catch (error) {
    const reported = toRequestError(controller.signal.aborted ? controller.signal.reason : error)
    send({ type: 'failed', id, error: reported.toData(), used })
  } finally {
    running.delete(id)
  }
}

interface CallScope {
  readonly signal: AbortSignal, readonly onProgress: (progress: FittingProgress) => void, readonly used: Used
}

type Answer<N extends CallName> = Calls[N]['answer']
type Answerer<N extends CallName> =
  (models: ServedModels, request: Calls[N]['request'], scope: CallScope) => Answer<N> | Promise<Answer<N>>

const answerers: { readonly [N in CallName]: Answerer<N> } = {
  score: (models, request, { signal, used }) => score(models.find(request.model), request, signal, used),
  tokenize: (models, request, { signal }) => tokenize(models.find(request.model), request, signal),
  tokenizerInfo: (models, request) => tokenizerInfo(models.find(request.model)),
  detokenize: (models, request, { signal }) => detokenize(models.find(request.model), request, signal),
  embed: (models, request, { signal }) => embed(models.find(request.model), request, signal),
  fit: async (models, request, { signal, onProgress }) =>
    infoOf(models, await fit(models.find(request.model), request, signal, onProgress)),
  adapt: async (models, request, { signal }) =>
    infoOf(models, await adapt(models.find(request.model), request, signal)),
  suggest: (models, request, { signal }) => suggest(models.find(request.model), request, signal),
  async deleteReward ({ store }, { name }) {
    await store.delete(name)
    return null
  },
  async refreshRewards ({ store }) {
    await store.refresh()
    return null
  },
  stats
}

/** Answers that change the rewards: the main thread gets the new list before the answer. */
const changing: readonly CallName[] = ['fit', 'adapt', 'deleteReward', 'refreshRewards']

async function answerCall<N extends CallName> (
  models: ServedModels, id: number, name: N, request: Calls[N]['request'], signal: AbortSignal, used: Used
): Promise<void> {
  const answer = await (answerers[name] as Answerer<N>)(models, request,
    { signal, onProgress: progress => { send({ type: 'progress', id, progress }) }, used })
  if (changing.includes(name)) send({ type: 'rewards', rewards: usableRewards(models) })
  send({ type: 'answer', id, answer })
}

/** Aborts what runs and frees all memory. */
async function close (models: ServedModels): Promise<void> {
  for (const controller of running.values()) {
    controller.abort(new RequestError('unavailable', 'The server is shutting down', { retryAfterMs: 5000 }))
  }
  await models.close()
}

function handle (models: ServedModels, message: ToWorker): void {
  switch (message.type) {
    case 'generate':
      run(message.id, async (signal, used) => {
        for await (const event of generate(models.find(message.request.model), message.request, signal, used)) {
          send({ type: 'event', id: message.id, event })
        }
      })
      break
    case 'call':
      run(message.id, (signal, used) => answerCall(models, message.id, message.name, message.request, signal, used))
      break
    case 'abort':
      running.get(message.id)?.abort(requestCancelled())
      break
    case 'close':
      close(models).then(() => { port.close() }, (error: unknown) => { throw error })
  }
}

/** Time for a thread that ends with an error to free its memory, ms. */
const longestEndMs = 5000

/**
 * Ends the thread for an uncaught error: the main thread tells callers that their requests are lost. Closed
 * first, since memory outside of JavaScript, of models and KV, would stay with the process; then nothing keeps the
 * thread.
 */
function endWith (models: ServedModels, error: unknown): void {
  console.error(error)
  port.close()
  setTimeout(() => { process.exit(1) }, longestEndMs).unref()
  close(models).catch(console.error)
}

try {
  const models = await ServedModels.load(workerData as Config, message => { send({ type: 'loading', message }) })
  models.all[0]!.prompts.start()
  process.once('uncaughtException', error => { endWith(models, error) })
  port.on('message', (message: ToWorker) => { handle(models, message) })
  send({ type: 'ready', models: models.all.map(modelInfo), rewards: usableRewards(models) })
} catch (error) {
  send({ type: 'fatal', error: toRequestError(error).toData() })
}
