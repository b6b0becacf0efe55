/** The inference thread: runs requests that come as messages and sends their events back. Knows no HTTP. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Config } from '../config.js'
import { RequestError } from '../errors.js'
import { adapt, suggest } from './adapting.js'
import { embed } from './embeddings.js'
import { deleteReward, fit, usableRewards } from './fitting.js'
import { generate } from './generation.js'
import { createHost, type Host } from './host.js'
import type { CallName, Calls, FittingProgress, FromWorker, Spent, ToWorker } from './protocol.js'
import { score } from './scoring.js'
import { stats } from './stats.js'
import { detokenize, tokenize, tokenizerInfo } from './tokens.js'

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
    const reason = controller.signal.aborted ? new RequestError('request_cancelled', 'the request was cancelled') : toRequestError(error)
    send({ type: 'failed', id, error: reason.toData(), spent })
  } finally {
    running.delete(id)
  }
}

type Answerer<N extends CallName> = (host: Host, request: Calls[N]['request'], signal: AbortSignal, onProgress: (progress: FittingProgress) => void, spent: Spent) => Calls[N]['answer'] | Promise<Calls[N]['answer']>

const answerers: { readonly [N in CallName]: Answerer<N> } = { score: (host, request, signal, _, spent) => score(host, request, signal, spent), tokenize, tokenizerInfo, detokenize, embed, stats, fit, adapt, suggest, deleteReward }

/** Answers that change the rewards: the main thread hears of it before it has the answer. */
const changing: readonly CallName[] = ['fit', 'adapt', 'deleteReward']

async function answerCall<N extends CallName> (host: Host, id: number, name: N, request: Calls[N]['request'], signal: AbortSignal, spent: Spent): Promise<void> {
  const answer = await (answerers[name] as Answerer<N>)(host, request, signal, progress => { send({ type: 'progress', id, progress }) }, spent)
  if (changing.includes(name)) send({ type: 'rewards', rewards: usableRewards(host) })
  send({ type: 'answer', id, answer })
}

function handle (host: Host, message: ToWorker): void {
  switch (message.type) {
    case 'generate':
      run(message.id, async (signal, spent) => {
        for await (const event of generate(host, message.request, signal, spent)) send({ type: 'event', id: message.id, event })
      })
      break
    case 'call':
      run(message.id, (signal, spent) => answerCall(host, message.id, message.name, message.request, signal, spent))
      break
    case 'abort':
      running.get(message.id)?.abort(new Error('aborted'))
      break
    case 'close':
      for (const controller of running.values()) controller.abort(new Error('the server is closing'))
      host.close().then(() => { port.close() }, (error: unknown) => { throw error })
  }
}

try {
  const host = await createHost(workerData as Config, message => { send({ type: 'loading', message }) })
  const { id, contextLength, tokenizer, fingerprint, created, chatTemplate: { callForm } } = host.model
  port.on('message', (message: ToWorker) => { handle(host, message) })
  send({
    type: 'ready',
    model: { id, contextLength, vocabularySize: tokenizer.vocabularySize, fingerprint, created, callForm },
    rewards: usableRewards(host)
  })
} catch (error) {
  send({ type: 'fatal', error: toRequestError(error).toData() })
}
