/**
 * llama.cpp's server as far as Fairlead asks it, over a toy policy, with its traps: streams leave out the pieces of a
 * character and count them, answers in one message have the ids of all tokens and logprobs of some, a parser of chats
 * fails at bytes that are no UTF-8, seeds are 32 bits. `llama-server-facts.ts` holds for both.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { plainSampling, type SamplingParams } from '../../src/policies/sampling-params.js'
import { drawTokens, type Drawn, type Json, type Toy } from './fake-drawing.js'

export interface FakeLlamaOptions extends Toy {
  readonly bytes: (token: number) => Uint8Array
  readonly tokenize: (text: string) => number[]
  /** Waited for before each token. */
  readonly pace?: () => Promise<unknown>
  /** Whether an answer in one message is drawn with the seed that was given, as it should be. Default yes. */
  readonly repeats?: boolean
  /** As GET /props has it. */
  readonly modelPath?: string
}

/** Whether bytes end within a character. */
function isIncomplete (bytes: readonly number[]): boolean {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes.at(-back)!
    if (byte < 0x80) return false
    if (byte >= 0xC0) return back < (byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2)
  }
  return false
}

const isUtf8 = (bytes: readonly number[]): boolean => {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes))
    return true
  } catch { return false }
}

/** A character a byte: texts of tokens that are pieces of characters. */
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

const reasons: Readonly<Record<string, string>> = { length: 'limit', end: 'eos', stop: 'word' }

export class FakeLlamaServer {
  readonly url: string
  /** Bodies of calls for tokens, in order. */
  readonly calls: Json[] = []
  running = 0
  readonly #options: FakeLlamaOptions
  readonly #server: Server
  readonly #cache = new Set<string>()

  private constructor (options: FakeLlamaOptions, server: Server) {
    this.#options = options
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => { response.destroy() })
    })
  }

  static async start (options: FakeLlamaOptions): Promise<FakeLlamaServer> {
    const server = createServer()
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    return new FakeLlamaServer(options, server)
  }

  async close (): Promise<void> {
    await new Promise<void>(resolve => {
      this.#server.close(() => { resolve() })
      this.#server.closeAllConnections()
    })
  }

  async #handle (request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const body = text === '' ? {} : JSON.parse(text) as Json
    const { maxModelLen = 64, tokenize, modelPath = '/nowhere/tiny.gguf' } = this.#options
    const json = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(value))
    }
    const refuse = (code: number, message: string, type: string, more: object = {}): void => {
      json(code, { error: { code, message, type, ...more } })
    }
    switch (request.url) {
      case '/health': return json(200, { status: 'ok' })
      case '/props': return json(200, {
        default_generation_settings: { n_ctx: maxModelLen }, model_path: modelPath, build_info: 'b0-fake'
      })
      case '/v1/models': return json(200, {
        object: 'list', data: [{ id: 'tiny', object: 'model', owned_by: 'llamacpp', meta: { n_ctx: maxModelLen } }]
      })
      case '/tokenize': return json(200, { tokens: tokenize(body['content'] as string) })
      case '/completion': break
      default: return refuse(404, 'File Not Found', 'not_found_error')
    }
    const prompt = body['prompt'] as number[]
    this.calls.push(body)
    if (prompt.length >= maxModelLen) {
      return refuse(400, `request (${prompt.length} tokens) exceeds the available context size (${maxModelLen} tokens), ` +
        'try increasing it', 'exceed_context_size_error', { n_prompt_tokens: prompt.length, n_ctx: maxModelLen })
    }
    if (!(body['seed'] >= 0 && body['seed'] < 2 ** 32)) return refuse(400, 'a bad seed', 'invalid_request_error')
    await this.#answer(body, prompt, response)
  }

  async #answer (body: Json, prompt: readonly number[], response: ServerResponse): Promise<void> {
    this.running++
    let isGone = false
    response.once('close', () => {
      isGone = true
      this.running--
    })
    const send = (value: object): void => { response.write(`data: ${JSON.stringify(value)}\n\n`) }
    const cached = this.#cached(prompt, body['cache_prompt'] !== false)
    const bytes: number[] = []
    const [all, rated]: [number[], object[]] = [[], []]
    const evaluated = { index: 0, id_slot: -1, tokens_evaluated: prompt.length }
    if (body['stream'] === true) response.writeHead(200, { 'content-type': 'text/event-stream' })
    let finish: string | null = null
    for (const drawn of this.#draw(body, prompt)) {
      await this.#options.pace?.()
      await turn()
      if (isGone) return
      const isEnd = drawn.token_id === this.#options.endToken
      finish = drawn.finish === 'stop' && isEnd ? 'end' : drawn.finish
      all.push(drawn.token_id)
      if (!isEnd) bytes.push(...this.#options.bytes(drawn.token_id))
      if (isIncomplete(bytes)) continue
      if (!isUtf8(bytes) && body['chat_parser'] === undefined) {
        const message = 'The model produced output that does not match the expected Content-only format'
        send({ error: { code: 500, message, type: 'server_error' } })
        response.end()
        return
      }
      const rates = [this.#rated(drawn, body['n_probs'] as number)]
      rated.push(...rates)
      const message = { ...evaluated, content: '', tokens: [drawn.token_id], stop: false, tokens_predicted: all.length }
      if (body['stream'] === true) send(body['n_probs'] > 0 ? { ...message, completion_probabilities: rates } : message)
    }
    const last = {
      ...evaluated,
      content: body['stream'] === true ? '' : new TextDecoder().decode(Uint8Array.from(bytes)),
      tokens: body['stream'] === true ? [] : all,
      stop: true,
      stop_type: reasons[finish!],
      tokens_predicted: all.length,
      truncated: false,
      timings: { cache_n: cached, prompt_n: prompt.length - cached }
    }
    if (body['stream'] === true) {
      send(last)
      response.end()
    } else {
      response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
        .end(JSON.stringify({ ...last, completion_probabilities: rated }))
    }
  }

  /** Tokens of a prompt that are cached. */
  #cached (prompt: readonly number[], reads: boolean): number {
    let cached = 0
    for (let end = 1; end < prompt.length; end++) {
      const key = prompt.slice(0, end).join()
      if (reads && this.#cache.has(key)) cached = end
      this.#cache.add(key)
    }
    return cached
  }

  #draw (body: Json, prompt: readonly number[]): Generator<Drawn> {
    const { repeats = true, endToken } = this.#options
    const samplers = body['samplers'] as string[]
    const of = (name: string, otherwise: number): number => samplers.includes(name) ? body[name] as number : otherwise
    const params: SamplingParams = {
      ...plainSampling,
      temperature: of('temperature', 1),
      topK: of('top_k', 0),
      topP: of('top_p', 1),
      minP: of('min_p', 0),
      repetitionPenalty: body['repeat_penalty'] ?? 1,
      // As much as any logit of the toy.
      logitBias: Object.fromEntries((body['logit_bias'] as Array<[number, number]> ?? [])
        .map(([token, bias]) => [token, Math.min(100, bias)])),
      maxTokens: body['n_predict'] as number
    }
    const schema = body['json_schema'] as unknown
    return drawTokens(prompt, {
      params,
      ends: [endToken],
      raw: {
        seed: body['stream'] === true || repeats ? body['seed'] : body['seed'] + 1,
        logprobs: body['n_probs'],
        stop: (body['stop'] as string[] ?? []).map(stop => latin1(Buffer.from(stop))),
        ...(schema === undefined
          ? {}
          : { structured_outputs: { json: latin1(Buffer.from(JSON.stringify(schema))) } })
      }
    }, { ...this.#options, text: token => latin1(this.#options.bytes(token)) })
  }

  #rated ({ token_id: id, logprob, top }: Drawn, count: number): object {
    const named = (token: number, rate: number): object =>
      ({ id: token, token: this.#options.text(token), bytes: [...this.#options.bytes(token)], logprob: rate })
    const ranked = [...top].sort((a, b) => b.logprob - a.logprob).slice(0, count)
    return { ...named(id, logprob), top_logprobs: ranked.map(one => named(one.token_id, one.logprob)) }
  }
}
