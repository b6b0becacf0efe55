/**
 * An inference engine that speaks vLLM's protocols and has its traps, over a toy policy: noise restarts at each call,
 * stops are looked for in new text only and cut inside tokens, unknown fields are ignored, lengths are clamped in
 * silence, a lost stream ends cleanly. What it was asked is kept; faults are made to order.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { plainSampling, type SamplingParams } from '../../src/policies/sampling-params.js'
import { drawTokens, type Drawn, type Json, type Sampling, type Toy } from './fake-drawing.js'

/** The connection breaks; the answer ends cleanly; the engine aborts it; it sends nothing more; it sends nonsense. */
export interface StreamFault {
  readonly kind: 'break' | 'end' | 'abort' | 'hang' | 'corrupt'
  /** Tokens that it sends before. */
  readonly after: number
}

/** What goes wrong with a call. */
export type Fault =
  | { readonly kind: 'status', readonly status: number, readonly headers?: Readonly<Record<string, string>> }
  /** The connection is closed without an answer, as one is that nobody used for a while. */
  | { readonly kind: 'close' }
  | StreamFault

export interface FakeEngineOptions extends Toy {
  readonly tokenize?: (text: string) => number[]
  readonly model?: string
  /** Where it says that the model's files are. */
  readonly root?: string
  /** What the plugin of integrations/vllm answers at `/fairlead/heads`. */
  readonly heads?: Json
  /** Whether it has `/inference/v1/generate`. Default yes. */
  readonly generates?: boolean
  /** Most alternatives that it gives. Default 20. */
  readonly maxLogprobs?: number
  /** Fields that it ignores, as engines do with what they do not know. */
  readonly ignores?: readonly string[]
  readonly apiKey?: string
  /** Asked for each call; null is none. */
  readonly fault?: (call: number, body: Json) => Fault | null
  /** Waited for before each token. */
  readonly pace?: () => Promise<unknown>
}

/** One call that it got. */
export interface FakeCall { readonly path: string, readonly body: Json, readonly headers: IncomingMessage['headers'] }

/** Tokens of a block of the prefix cache. */
const blockSize = 4

export class FakeEngine {
  readonly url: string
  /** Calls for tokens, in order. */
  readonly calls: FakeCall[] = []
  /** Calls that run now, and those whose caller hung up. */
  running = 0
  hungUp = 0
  /** Connections of the calls that run now, those too that the engine has stopped writing to. */
  readonly sockets = new Set<Socket>()
  /** Whether it says that it is well. */
  isWell = true
  readonly #options: FakeEngineOptions
  readonly #server: Server
  readonly #cache = new Set<string>()

  private constructor (options: FakeEngineOptions, server: Server) {
    this.#options = options
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => { response.destroy() })
    })
  }

  static async start (options: FakeEngineOptions, port = 0): Promise<FakeEngine> {
    const server = createServer()
    await new Promise<void>(resolve => { server.listen(port, '127.0.0.1', resolve) })
    return new FakeEngine(options, server)
  }

  get port (): number { return (this.#server.address() as AddressInfo).port }

  /** Ends as a process that is killed. */
  async close (): Promise<void> {
    await new Promise<void>(resolve => {
      this.#server.close(() => { resolve() })
      this.#server.closeAllConnections()
    })
  }

  async #handle (request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const { model = 'toy', maxModelLen = 64, tokenize, apiKey, root = 'org/tiny' } = this.#options
    const json = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    const refuse = (status: number, message: string, param: string | null = null): void => {
      json(status, { error: { message, type: 'BadRequestError', param, code: status } })
    }
    if (request.url === '/health') {
      response.writeHead(this.isWell ? 200 : 503).end()
      return
    }
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) return refuse(401, 'Unauthorized')
    const body = text === '' ? {} : JSON.parse(text) as Json
    switch (request.url) {
      case '/version': return json(200, { version: '0.32.0' })
      case '/v1/models': return json(200, { data: [{ id: model, max_model_len: maxModelLen, root }] })
      case '/fairlead/heads': {
        const { heads } = this.#options
        return heads ? json(200, heads) : refuse(404, 'Not Found')
      }
      case '/tokenize':
        return tokenize ? json(200, { tokens: tokenize(body['prompt'] as string) }) : refuse(404, 'Not Found')
      case '/inference/v1/generate':
        if (this.#options.generates === false) return refuse(404, 'Not Found')
        break
      case '/v1/completions': break
      default: return refuse(404, 'Not Found')
    }
    if (body['model'] !== model) return refuse(404, `The model ${String(body['model'])} does not exist.`)
    this.calls.push({ path: request.url!, body, headers: request.headers })
    const problem = this.#problem(request.url!, body)
    if (problem) return refuse(400, ...problem)
    const fault = this.#options.fault?.(this.calls.length - 1, body) ?? null
    if (fault?.kind === 'status') {
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers })
      response.end(JSON.stringify({ error: { message: 'made to order', code: fault.status } }))
      return
    }
    if (fault?.kind === 'close') response.destroy()
    else await this.#stream(request.url === '/v1/completions', body, response, fault)
  }

  /** Why a call is refused: message and param. */
  #problem (path: string, body: Json): [string, string?] | null {
    const raw = path === '/v1/completions' ? body : body['sampling_params'] as Json
    const tokens = (body['token_ids'] ?? body['prompt']) as number[]
    const { maxModelLen = 64, maxLogprobs = 20 } = this.#options
    if (tokens.length >= maxModelLen) return ['the prompt is too long', 'input_tokens']
    const asked = raw['logprob_token_ids'] as number[] | undefined
    if (asked && path !== '/v1/completions' && raw['logprobs'] !== asked.length) {
      return ['logprobs must equal len(logprob_token_ids)', 'logprob_token_ids']
    }
    if (raw['logprobs'] > maxLogprobs) return [`logprobs must be at most ${maxLogprobs}`]
    if (path === '/v1/completions' && (raw['stop'] ?? []).length > 4) return ['at most 4 stop strings']
    if ((raw['stop'] ?? []).length > 0 && raw['detokenize'] === false) return ['stop needs detokenize']
    return null
  }

  #samplingOf (given: Json): Sampling {
    const raw = { ...given }
    for (const field of this.#options.ignores ?? []) delete raw[field]
    const params: SamplingParams = {
      ...plainSampling,
      temperature: raw['temperature'] ?? 1,
      topP: raw['top_p'] ?? 1,
      topK: raw['top_k'] ?? 0,
      minP: raw['min_p'] ?? 0,
      frequencyPenalty: raw['frequency_penalty'] ?? 0,
      presencePenalty: raw['presence_penalty'] ?? 0,
      repetitionPenalty: raw['repetition_penalty'] ?? 1,
      logitBias: raw['logit_bias'] ?? {},
      maxTokens: raw['max_tokens'] ?? 16
    }
    const ends = [...raw['stop_token_ids'] ?? [], ...raw['ignore_eos'] === true ? [] : [this.#options.endToken]]
    return { params, ends, raw }
  }

  /** Tokens of a prompt that are cached; it is from then on. */
  #cached (tokens: readonly number[], salt: string): number {
    let cached = 0
    for (let end = blockSize; end < tokens.length; end += blockSize) {
      const key = `${salt} ${tokens.slice(0, end).join()}`
      if (this.#cache.has(key)) cached = end
      this.#cache.add(key)
    }
    return cached
  }

  async #stream (
    isCompletion: boolean, body: Json, response: ServerResponse, fault: StreamFault | null
  ): Promise<void> {
    this.running++
    let isGone = false
    const socket = response.socket!
    this.sockets.add(socket)
    // When it was sent whole, or its connection was closed before.
    response.once('close', () => {
      this.sockets.delete(socket)
      isGone = true
      this.running--
      if (!response.writableFinished) this.hungUp++
    })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const send = (value: unknown): void => { response.write(`data: ${JSON.stringify(value)}\n\n`) }
    const prompt = (body['token_ids'] ?? body['prompt']) as number[]
    const cached = this.#cached(prompt, body['cache_salt'] as string ?? '')
    const sampling = this.#samplingOf(isCompletion ? body : body['sampling_params'] as Json)
    const interval = sampling.raw['stream_interval'] as number ?? 1
    const group: Drawn[] = []
    let count = 0
    for (const drawn of drawTokens(prompt, sampling, this.#options)) {
      await this.#options.pace?.()
      await turn()
      if (isGone) return
      if (fault && count === fault.after) return await this.#fail(fault.kind, response, send)
      group.push(drawn)
      // The first message goes out at once, as the last does.
      if (count++ > 0 && group.length < interval && drawn.finish === null) continue
      const some = group.splice(0)
      send({
        choices: [isCompletion
          ? completionChoice(some, this.#options.text)
          : generateChoice(some, sampling.raw['logprob_token_ids'] as number[] | undefined)]
      })
    }
    send({
      choices: [],
      usage: {
        prompt_tokens: prompt.length, completion_tokens: count, prompt_tokens_details: { cached_tokens: cached }
      }
    })
    response.end('data: [DONE]\n\n')
  }

  async #fail (
    kind: StreamFault['kind'], response: ServerResponse, send: (value: unknown) => void
  ): Promise<void> {
    if (kind === 'hang') await new Promise(resolve => { response.once('close', resolve) })
    else if (kind === 'break') response.destroy()
    else if (kind === 'end') response.end()
    else if (kind === 'corrupt') response.end('data: {"choices": [{"token_ids": ["x"]}]}\n\n')
    else {
      send({ choices: [{ index: 0, token_ids: [], finish_reason: 'abort' }] })
      response.end('data: [DONE]\n\n')
    }
  }
}

/** @param asked ids whose logprobs were asked for: with that of the token drawn no more than so many are told */
const generateChoice = (drawn: readonly Drawn[], asked: readonly number[] | undefined): object => ({
  index: 0,
  token_ids: drawn.map(one => one.token_id),
  logprobs: {
    content: drawn.map(({ token_id: token, logprob, top }) =>
      ({ token_id: token, logprob, rank: 1, top_logprobs: asked ? top.slice(0, asked.length) : top }))
  },
  finish_reason: drawn.at(-1)!.finish,
  stop_reason: null
})

const completionChoice = (drawn: readonly Drawn[], text: (token: number) => string): object => ({
  index: 0,
  text: drawn.map(one => text(one.token_id)).join(''),
  token_ids: drawn.map(one => one.token_id),
  logprobs: {
    tokens: drawn.map(one => `token_id:${one.token_id}`),
    token_logprobs: drawn.map(one => one.logprob),
    top_logprobs: drawn.map(({ top }) =>
      Object.fromEntries(top.map(one => [`token_id:${one.token_id}`, one.logprob])))
  },
  finish_reason: drawn.at(-1)!.finish,
  stop_reason: null
})
