/** The inference thread: runs requests that come as messages and sends their events back. Knows no HTTP. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Config } from '../settings.js'
import { RequestError, requestCancelled } from '../errors.js'
import { adapt, suggest } from './adapt-reward.js'
import { embed } from './embeddings.js'
import { fit } from './fit-queue.js'
import { generate } from './run-request.js'
import { createHosts, type Host, type Hosts } from './model-runtime.js'
import { infoOf, usableRewards } from './known-rewards.js'
import type { CallName, Calls, FittingProgress, FromWorker, ModelInfo, Spent, ToWorker } from './protocol.js'
import { score } from './score-answers.js'
import { stats } from './engine-stats.js'
import { detokenize, tokenize, tokenizerInfo } from './tokenize.js'

if (!parentPort) throw new Error('this file runs in a Worker')
const port = parentPort
const send = (message: FromWorker): void => { port.postMessage(message) }

/** Requests that run, by id. */
const running = new Map<number, AbortController>()

/** What the caller is told: a RequestError as it is, anything else as a bug, which is logged here. */
function toRequestError (error: unknown): RequestError {
  if (error instanceof RequestError) return error
  console.error(error)
  return new RequestError('internal_error', 'The server had an error while processing the request')
}

async function run (id: number, work: (signal: AbortSignal, spent: Spent) => Promise<void>): Promise<void> {
  const spent: Spent = { generatedTokens: 0, rewardSeconds: {} }
  const controller = new AbortController()
  running.set(id, controller)
  try {
    await work(controller.signal, spent)
    send({ type: 'done', id, spent })
  } catch (error) {
    const told = toRequestError(controller.signal.aborted ? controller.signal.reason : error)
    send({ type: 'failed', id, error: told.toData(), spent })
  } finally {
    running.delete(id)
  }
}

interface CallScope {
  readonly signal: AbortSignal, readonly onProgress: (progress: FittingProgress) => void, readonly spent: Spent
}

type Answerer<N extends CallName> =
  (hosts: Hosts, request: Calls[N]['request'], scope: CallScope) => Calls[N]['answer'] | Promise<Calls[N]['answer']>

const answerers: { readonly [N in CallName]: Answerer<N> } = {
  score: (hosts, request, { signal, spent }) => score(hosts.find(request.model), request, signal, spent),
  tokenize: (hosts, request) => tokenize(hosts.find(request.model), request),
  tokenizerInfo: (hosts, request) => tokenizerInfo(hosts.find(request.model)),
  detokenize: (hosts, request) => detokenize(hosts.find(request.model), request),
  embed: (hosts, request, { signal }) => embed(hosts.find(request.model), request, signal),
  fit: async (hosts, request, { signal, onProgress }) =>
    infoOf(hosts, await fit(hosts.find(request.model), request, signal, onProgress)),
  adapt: async (hosts, request, { signal }) => infoOf(hosts, await adapt(hosts.find(request.model), request, signal)),
  suggest: (hosts, request, { signal }) => suggest(hosts.find(request.model), request, signal),
  async deleteReward ({ store }, { name }) {
    await store.delete(name)
    return null
  },
  stats
}

/** Answers that change the rewards: the main thread hears of it before it has the answer. */
const changing: readonly CallName[] = ['fit', 'adapt', 'deleteReward']

async function answerCall<N extends CallName> (
  hosts: Hosts, id: number, name: N, request: Calls[N]['request'], signal: AbortSignal, spent: Spent
): Promise<void> {
  const answer = await (answerers[name] as Answerer<N>)(hosts, request,
    { signal, onProgress: progress => { send({ type: 'progress', id, progress }) }, spent })
  if (changing.includes(name)) send({ type: 'rewards', rewards: usableRewards(hosts) })
  send({ type: 'answer', id, answer })
}

/** Aborts what runs and frees all memory. */
async function close (hosts: Hosts): Promise<void> {
  for (const controller of running.values()) {
    controller.abort(new RequestError('unavailable', 'The server is shutting down', { retryAfterMs: 5000 }))
  }
  await hosts.close()
}

function handle (hosts: Hosts, message: ToWorker): void {
  switch (message.type) {
    case 'generate':
      run(message.id, async (signal, spent) => {
        for await (const event of generate(hosts.find(message.request.model), message.request, signal, spent)) {
          send({ type: 'event', id: message.id, event })
        }
      })
      break
    case 'call':
      run(message.id, (signal, spent) => answerCall(hosts, message.id, message.name, message.request, signal, spent))
      break
    case 'abort':
      running.get(message.id)?.abort(requestCancelled())
      break
    case 'close':
      close(hosts).then(() => { port.close() }, (error: unknown) => { throw error })
  }
}

/** A thread that an error ends has this long to give its memory back, ms. */
const longestEndMs = 5000

/**
 * Ends the thread for an error that nobody caught: the main thread tells callers that their requests are lost. Closed
 * first, since memory outside of JavaScript, of models and KV, would stay with the process; then nothing keeps the
 * thread.
 */
function endWith (hosts: Hosts, error: unknown): void {
  console.error(error)
  port.close()
  setTimeout(() => { process.exit(1) }, longestEndMs).unref()
  close(hosts).catch(console.error)
}

function modelInfo ({ model }: Host): ModelInfo {
  const { id, contextLength, tokenizer, fingerprint, operators, created, chatTemplate: { callForm } } = model
  return { id, contextLength, vocabularySize: tokenizer.vocabularySize, fingerprint, operators, created, callForm }
}

try {
  const hosts = await createHosts(workerData as Config, message => { send({ type: 'loading', message }) })
  process.once('uncaughtException', error => { endWith(hosts, error) })
  port.on('message', (message: ToWorker) => { handle(hosts, message) })
  send({ type: 'ready', models: hosts.all.map(modelInfo), rewards: usableRewards(hosts) })
} catch (error) {
  send({ type: 'fatal', error: toRequestError(error).toData() })
}
