/**
 * Finds out what an engine can do, by effect: engines ignore what they do not know and say nothing. The first call also
 * warms it up. Whatever has no effect is refused later, where a request asks for it.
 */
import { RequestError } from '../../errors.js'
import type { SamplingParams } from '../sampling-params.js'
import type { EngineProtocol } from './engine-call.js'
import { EngineFailure } from './engine-failure.js'
import { engineFields, type EngineField } from './engine-fields.js'
import { EngineHeads } from './engine-heads.js'
import { isFields, type Fields } from './fields.js'
import { greedy, Prober } from './prober.js'
import { completions } from './protocols/completions.js'
import { llamaServer } from './protocols/llama-server.js'
import { vllmGenerate } from './protocols/vllm-generate.js'
import type { EngineReport } from './remote-engine.js'
import type { Replica } from './replica.js'

/** The tokenizer that requests are read with here. */
export interface ProbeTokenizer {
  encode (text: string): number[]
  decode (tokens: readonly number[]): string
  readonly endTokens: readonly number[]
}

/** Tried in this order. */
const protocolsFor = ({ encode }: ProbeTokenizer): readonly EngineProtocol[] =>
  [vllmGenerate, llamaServer(encode('a').at(-1)!), completions]

/** Both tokenizers must make the same of it: digits, spaces, several scripts. */
const sample = 'The lighthouse, built in 1874, is 38.5 m tall.\n\n\tdef f(x):  return x == "naïve" # 日本語 🙂'

/** Alternatives that are asked for, the most that the API has first. */
const alternativeCounts = [20, 5, 1, 0]

const drawing: SamplingParams = { ...greedy, temperature: 1 }

const same = (a: readonly number[] | null, b: readonly number[] | null): boolean =>
  a !== null && b !== null && a.join() === b.join()

/** Protocol and alternatives of an engine: the first that it answers well by. */
async function findProtocol (
  replica: Replica, model: string, tokenizer: ProbeTokenizer, tokens: readonly number[]
): Promise<{ protocol: EngineProtocol, alternatives: number, prober: Prober }> {
  const reasons: string[] = []
  for (const protocol of protocolsFor(tokenizer)) {
    for (const alternatives of alternativeCounts) {
      const prober = new Prober(replica, protocol, model, tokens)
      try {
        const [first] = await prober.draw({ alternatives })
        return { protocol, alternatives: Math.min(alternatives, first!.top.length), prober }
      } catch (error) {
        if (!(error instanceof EngineFailure)) throw error
        if (error.kind === 'busy') throw error.toRequestError()
        if (alternatives === 0) reasons.push(`${protocol.path}: it ${error.message}`)
      }
    }
  }
  throw new RequestError('invalid_request', `policy: ${replica.url} answers by no protocol that gives token ids with ` +
    `logprobs: ${reasons.join('; ')}`, { param: 'policy' })
}

/** The fields that have the effect they should have. */
async function findFields (
  prober: Prober, { differs }: EngineProtocol, { decode }: ProbeTokenizer, alternatives: number,
  vocabulary: readonly number[]
): Promise<EngineField[]> {
  const fields: EngineField[] = alternatives > 0 ? ['top_logprobs'] : []
  const add = (field: EngineField, works: boolean): void => { if (works) fields.push(field) }
  const maxTokens = 6
  const best = await prober.tokens({ maxTokens })
  if (best === null) return fields
  const [first] = best as [number]
  const drawn = (seed: number): Promise<number[] | null> =>
    prober.tokens({ maxTokens, seed, sampling: { ...drawing, logitBias: {} } })
  const [one, again, other] = [await drawn(7), await drawn(7), await drawn(8)]
  add('seed', same(one, again) && !same(one, other))
  const filtered = (filter: Partial<SamplingParams>): Promise<number[] | null> =>
    prober.tokens({ seed: 9, sampling: { ...drawing, temperature: 2, ...filter } })
  add('top_k', same(await filtered({ topK: 1 }), [first]))
  add('top_p', same(await filtered({ topP: 1e-6 }), [first]))
  add('min_p', same(await filtered({ minP: 1 }), [first]))
  const forced = vocabulary.find(token => token !== first)!
  add('logit_bias', same(await prober.tokens({ sampling: { ...greedy, logitBias: { [forced]: 100 } } }), [forced]))
  add('stop_token_ids', same(await prober.tokens({ maxTokens, endTokens: [first] }), [first]))
  const later = await prober.tokens({ maxTokens, minTokens: 2, endTokens: [first] })
  add('min_tokens', later !== null && later.length >= 2 && later[0] !== first)
  // What they count shows in long answers only.
  for (const field of ['frequency_penalty', 'presence_penalty'] as const) add(field, !differs.includes(field))
  add('stop', await stopsAtText(prober, best, decode))
  const boolean = await prober.tokens({ maxTokens: 8, structure: { type: 'json', schema: '{"type":"boolean"}' } })
  add('structured_outputs', boolean !== null && /^\s*(true|false)/.test(decode(boolean)))
  return fields
}

/** How far a logprob may be from itself: engines round, and batch differently. Nats. */
const sameLogprob = 0.05

/** @throws RequestError for an engine whose logprobs are of the tempered distribution, from which no KL follows */
async function checkLogprobs (prober: Prober, url: string): Promise<void> {
  const [cool] = await prober.draw({})
  const [warm] = await prober.draw({ sampling: { ...drawing, temperature: 2, topK: 1 } })
  if (cool!.token !== warm!.token || Math.abs(cool!.logprob - warm!.logprob) <= sameLogprob) return
  throw new RequestError('invalid_request', `policy: ${url} must report logprobs of the model, not of the tempered ` +
    'distribution (vLLM: --logprobs-mode raw_logprobs)', { param: 'policy' })
}

/** Whether a call ends at a text that it would have gone on beyond. */
async function stopsAtText (
  prober: Prober, best: readonly number[], decode: ProbeTokenizer['decode']
): Promise<boolean> {
  const pieces = best.map(token => decode([token]))
  const at = pieces.slice(0, -1).findIndex(piece => piece.trim() !== '' && !piece.includes('\uFFFD'))
  if (at < 0) return false
  const stopped = await prober.tokens({ maxTokens: best.length, stops: [pieces[at]!] })
  return stopped !== null && stopped.length <= at + 1
}

/** The model that is asked for, among those that an engine has. */
async function findModel (
  replica: Replica, asked: string | null
): Promise<{ model: string, contextLength: number | null, root: unknown }> {
  const { status, json } = await replica.ask('/v1/models')
  const list = isFields(json) && Array.isArray(json['data']) ? json['data'].filter(isFields) : []
  if (status !== 200 || list.length === 0) {
    throw new RequestError('invalid_request',
      `policy: ${replica.url} must list its models at /v1/models (status ${status}): is it an inference engine?`,
      { param: 'policy' })
  }
  const names = list.map(one => String(one['id']))
  const found = asked === null ? (list.length === 1 ? list[0] : undefined) : list.find(one => one['id'] === asked)
  if (!found) {
    throw new RequestError('model_not_found', `policy: ${replica.url} has the models ${names.join(', ')}; ` +
      (asked === null ? 'name one behind a #' : `got ${asked}`), { param: 'policy' })
  }
  const length = found['max_model_len'] ?? (isFields(found['meta']) ? found['meta']['n_ctx'] : null)
  return {
    model: String(found['id']),
    contextLength: Number.isSafeInteger(length) ? length as number : null,
    root: found['root']
  }
}

/**
 * Where an engine says that its model's files are: a path of its machine, or a name; null where it does not say.
 * @throws RequestError for a model that it has not; EngineFailure where it does not answer
 */
export async function findFiles (replica: Replica, model: string | null): Promise<string | null> {
  const { root } = await findModel(replica, model)
  const { status, json } = await replica.ask('/props')
  const path = status === 200 && isFields(json) ? json['model_path'] : root
  return typeof path === 'string' && path !== '' ? path : null
}

/** What an engine calls itself. */
async function findServer (replica: Replica): Promise<string> {
  const [vllm, llama] = [await replica.ask('/version'), await replica.ask('/props')]
    .map(({ status, json }) => status === 200 && isFields(json) ? json : {}) as [Fields, Fields]
  const [version, build] = [vllm['version'], llama['build_info']]
  if (typeof version === 'string') return `vLLM ${version.slice(0, 40)}`
  return typeof build === 'string' ? `llama.cpp ${build.slice(0, 40)}` : 'unknown'
}

/** vLLM's fields and llama.cpp's: each ignores the other's. */
const tokenizeBody = (model: string, text: string): object => ({
  model, prompt: text, add_special_tokens: false, content: text, add_special: false, parse_special: false
})

/**
 * Compares tokenizers.
 * @returns what could not be compared; null where both agree
 * @throws RequestError where they differ
 */
async function compareTokenizers (replica: Replica, model: string, tokenizer: ProbeTokenizer): Promise<string | null> {
  const { status, json } = await replica.ask('/tokenize', tokenizeBody(model, sample))
  const tokens = status === 200 && isFields(json) ? json['tokens'] : null
  if (!Array.isArray(tokens)) return 'it has no /tokenize: whether its tokenizer is this one was not checked'
  const own = tokenizer.encode(sample)
  if (tokens.join() === own.join()) return null
  const at = own.findIndex((token, index) => tokens[index] !== token)
  throw new RequestError('invalid_request', 'policy-tokenizer must be the tokenizer of the engine’s model: token ' +
    `${Math.max(0, at)} of a sample text is ${own[Math.max(0, at)]} here and ${String(tokens[Math.max(0, at)])} at ` +
    `${replica.url}`, { param: 'policy-tokenizer' })
}

/** Whether a Q-head moves tokens: towards it another one is drawn than away from it. */
async function guides (prober: Prober, heads: EngineHeads): Promise<boolean> {
  const drawn = (strength: number): Promise<number[] | null> => prober.tokens({
    heads,
    guidance: { heads: heads.guiding.slice(0, 1), strengths: [strength], topK: 0, answerTokens: 0, sums: [0] }
  })
  const [toward, away] = [await drawn(1e6), await drawn(-1e6)]
  return toward !== null && away !== null && !same(toward, away)
}

/** Its heads, where the plugin is there and they come as asked. */
async function findHeads (replica: Replica, prober: Prober): Promise<EngineHeads | null> {
  const { status, json } = await replica.ask('/fairlead/heads')
  if (status !== 200) return null
  try {
    const heads = new EngineHeads(json)
    if (heads.all.length === 0) return null
    await prober.draw({ heads, maxTokens: 2 })
    return heads.guiding.length === 0 || await guides(prober, heads) ? heads : new EngineHeads(json, false)
  } catch (error) {
    const { message } = error as Error
    throw new RequestError('invalid_request', `policy: ${replica.url} has heads that cannot be read: it ${message}`,
      { param: 'policy', cause: error })
  }
}

/** What was found out of an engine. */
export interface Probed {
  readonly protocol: EngineProtocol
  readonly report: EngineReport
  /** Null where it has none. */
  readonly heads: EngineHeads | null
}

/**
 * What an engine is and can do.
 * @param model what it calls the model; null for the only one that it has
 * @throws RequestError for an engine that does not fit; EngineFailure for one that does not answer
 */
export async function probe (
  replica: Replica, model: string | null, tokenizer: ProbeTokenizer
): Promise<Probed> {
  const { model: name, contextLength } = await findModel(replica, model)
  if (contextLength === null) {
    throw new RequestError('invalid_request', `policy: ${replica.url} does not say its context length (at /v1/models: ` +
      'max_model_len, or meta.n_ctx)', { param: 'policy' })
  }
  const server = await findServer(replica)
  const unchecked = await compareTokenizers(replica, name, tokenizer)
  const tokens = tokenizer.encode(sample)
  const { protocol, alternatives, prober } = await findProtocol(replica, name, tokenizer, tokens)
  await checkLogprobs(prober, replica.url)
  const fields = await findFields(prober, protocol, tokenizer, alternatives, tokens)
  const heads = await findHeads(replica, prober)
  const countsCachedTokens = typeof prober.usage?.cachedTokens === 'number'
  return {
    protocol,
    heads,
    report: {
      server,
      urls: [replica.url],
      protocol: protocol.name,
      model: name,
      contextLength,
      alternatives,
      fields,
      ignored: engineFields.filter(field => !fields.includes(field)),
      countsCachedTokens,
      heads: heads?.all.map(({ name }) => name) ?? [],
      guidingHeads: heads?.guiding ?? [],
      notes: [
        ...unchecked === null ? [] : [unchecked],
        ...protocol.notes,
        ...heads !== null && heads.unread.length > 0
          ? [`it has more heads than can be read: not ${heads.unread.join(', ')}`]
          : [],
        ...heads !== null && heads.unguiding.length > 0
          ? [`it guides no tokens by ${heads.unguiding.join(', ')}: its plugin is older than 0.2.0, or without effect`]
          : [],
        ...countsCachedTokens
          ? []
          : ['it does not say how many tokens its cache had (vLLM: --enable-prompt-tokens-details)']
      ]
    }
  }
}
