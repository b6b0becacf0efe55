/**
 * Rewards that another server computes. The operator names its address in a descriptor and allows its origin in the
 * settings; a request can name no address. Descriptors and what keeps them safe are here; what a server is asked for
 * an answer is `remote-reader.ts`, when it is sent `remote-batch.ts`.
 */
import { resolve } from 'node:path'
import { Type, type Static, type TObject } from 'typebox'
import { RequestError } from '../../errors.js'
import { refuse } from '../../validation.js'
import { labelFields } from './classifier.js'
import { membersSchema } from '../descriptor-parts.js'
import { formatOf, stepFields, type StepRules } from './process.js'
import { RemoteBatch, type RemoteScorerInfo } from './remote-batch.js'
import { protocols, type Protocol, type ProtocolName } from './remote-protocols.js'
import { textReading, tokenReading, type ReadingRules, type RemoteReading } from './remote-reader.js'
import type { OpenContext, RawScore, RewardSource } from '../reward-kind.js'
import type { Answer, AnswerMember, ChatMessage } from '../scorer.js'

/** Fields of a remote reward's descriptor beside the family's. */
export const remoteFields = {
  kind: Type.Literal('remote'),
  /** The endpoint, path included. */
  url: Type.String({ maxLength: 2000 }),
  protocol: Type.Enum(Object.keys(protocols) as ProtocolName[]),
  /** `model` of the request, for servers that want one. */
  model: Type.Optional(Type.String({ minLength: 1 })),
  /**
   * The tokenizer of the server's model, a folder or a GGUF file, absolute or relative to the descriptor's folder: the
   * server is then sent the conversation in that model's own template and tokens, in which no text can pose as
   * control tokens.
   */
  tokenizer: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
  /** Jinja source of a chat template that takes the place of the tokenizer's own. */
  template: Type.Optional(Type.String({ minLength: 1 })),
  /** False asks for the numbers as the model computes them, logits. Default what the server does, probabilities. */
  useActivation: Type.Optional(Type.Boolean()),
  /** `label`: which of several numbers is the score, default 0; `classes` as a classifier's, of logits. */
  ...labelFields,
  /** Of process reward models. */
  ...Type.Partial(Type.Object(stepFields)).properties,
  /** Environment variable with the server's key, which is sent as a bearer token. */
  apiKeyEnv: Type.Optional(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' })),
  /** How long the server may take for one request, ms, repetitions included. Default 10,000. */
  timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
  /**
   * What becomes of a request when the server fails: `error` (default) ends it, `policy_only` counts the answers
   * concerned as average and warns.
   */
  onFailure: Type.Optional(Type.Enum(['error', 'policy_only'])),
  members: membersSchema
}

/** Such a descriptor, read and checked. */
export type RemoteDescriptor = Static<TObject<typeof remoteFields>>

/** What the operator lets descriptors reach. */
export interface Remotes {
  /** Origins that remote scorers may have. */
  readonly origins: readonly string[]
  /** The value of an environment variable with a key; null where it is not set. */
  readonly secret: (variable: string) => string | null
}

/** Where no remote scorer is allowed. */
export const noRemotes: Remotes = { origins: [], secret: () => null }

/** An address as messages show it: no user, no password, no query. */
const shownUrl = (url: string): string => url.replace(/^([a-z]*:\/\/)?[^?#]*@/is, '$1…@').replace(/[?#].*$/s, '?…')

/** Names of query parameters that hold secrets. */
const secretName = /key|token|secret|passw|auth|sig|credential/i

/** @throws RequestError for an address that holds a secret, without saying it */
function checkHoldsNoSecret (url: string): void {
  const { username, password, searchParams } = new URL(url)
  const named = [...searchParams.keys()].find(name => secretName.test(name))
  if (username !== '' || password !== '' || named !== undefined) {
    throw refuse('url',
      'must hold no secret (user, password, key); apiKeyEnv names an environment variable with the key', shownUrl(url))
  }
}

/** Origins as URLs write them. @throws RequestError for what is not an http or https origin */
export function parseOrigins (origins: readonly string[]): string[] {
  return origins.map(one => {
    const url = URL.canParse(one) ? new URL(one) : null
    if (!url || !/^https?:$/.test(url.protocol) || one.replace(/\/$/, '').toLowerCase() !== url.origin) {
      throw refuse('remote-scorers', 'must contain origins, such as http://127.0.0.1:8001', shownUrl(one))
    }
    return url.origin
  })
}

/** Scores of answers under the descriptor's failure policy. */
class RemoteScorer {
  readonly #descriptor: RemoteDescriptor
  readonly #member: AnswerMember
  readonly #context: OpenContext
  readonly #read: RemoteReading
  readonly #apiKey: string | null
  #asked = 0
  #failed = 0

  constructor (
    descriptor: RemoteDescriptor, apiKey: string | null, member: AnswerMember, context: OpenContext,
    read: RemoteReading
  ) {
    this.#descriptor = descriptor
    this.#member = member
    this.#context = context
    this.#apiKey = apiKey
    this.#read = read
  }

  async score (messages: readonly ChatMessage[], answer: Answer): Promise<RawScore> {
    this.#asked++
    try {
      return await this.#read(messages, answer)
    } catch (error) {
      this.#context.request.signal.throwIfAborted()
      if (error instanceof RequestError) throw error
      const said = (error as Error).message
      const safe = this.#apiKey === null ? said : said.replaceAll(this.#apiKey, '…')
      const problem = `reward "${this.#context.name}": the remote scorer ${safe}`
      if (this.#descriptor.onFailure !== 'policy_only') {
        throw new RequestError('scorer_failed', problem, { cause: error })
      }
      this.#failed++
      this.#context.warn('reward_unavailable',
        `${problem}; ${this.#failed} of ${this.#asked} answers were given the average score`)
      return { raw: this.#descriptor.members[this.#member]!.normalization.mean }
    }
  }
}

/** The key that a descriptor speaks of. @throws RequestError where the variable is not set */
function apiKeyOf ({ apiKeyEnv }: RemoteDescriptor, { secret }: Remotes): string | null {
  if (apiKeyEnv === undefined) return null
  const key = secret(apiKeyEnv)
  // Who writes the key itself here must not find it in a log.
  const shown = /^[A-Z_][A-Z0-9_]*$/.test(apiKeyEnv) ? apiKeyEnv : '…'
  if (key === null) throw refuse('apiKeyEnv', 'must name an environment variable that is set', shown)
  if (!/^[!-~]+$/.test(key)) {
    throw refuse('apiKeyEnv', 'must name a variable whose value can be sent as a bearer token (visible ASCII)', shown)
  }
  return key
}

/** Fields that are for some protocols only, and what these are. */
const fieldProtocols: ReadonlyArray<readonly [keyof RemoteDescriptor, readonly ProtocolName[]]> = [
  ['label', ['classify', 'pooling']],
  ['tokenizer', ['classify', 'pooling', 'token_classify', 'completions']],
  ['useActivation', ['score', 'classify', 'pooling']],
  ['steps', ['token_classify', 'completions']],
  ['aggregation', ['token_classify', 'completions']],
  ['window', ['token_classify', 'completions']]
]

/** @throws RequestError for fields that do not go together */
function checkFields (descriptor: RemoteDescriptor): void {
  const { protocol, useActivation, classes, tokenizer, template, steps } = descriptor
  for (const [field, names] of fieldProtocols) {
    if (descriptor[field] !== undefined && !names.includes(protocol as ProtocolName)) {
      throw refuse(field, `is only valid with the protocol ${names.join(' or ')}`, descriptor[field])
    }
  }
  if (classes !== undefined && useActivation !== false) throw refuse('classes', 'requires useActivation false', classes)
  if (template !== undefined && tokenizer === undefined) throw refuse('template', 'requires tokenizer', template)
  if (protocol !== 'token_classify' && protocol !== 'completions') return
  if (tokenizer === undefined) throw refuse('tokenizer', `is required with the protocol ${protocol}`, tokenizer)
  if (steps === undefined) throw refuse('steps', `is required with the protocol ${protocol}`, steps)
  const { verdicts } = formatOf({ steps: steps as StepRules['steps'] })
  if ((verdicts !== undefined) !== (protocol === 'completions')) {
    throw refuse('steps', 'must have verdicts with the protocol completions, and none with token_classify', steps)
  }
}

/** @throws RequestError for an address that is none, holds a secret, or whose origin is not among those allowed */
function checkAddress (url: string, { origins }: Remotes): void {
  const origin = URL.canParse(url) ? new URL(url).origin : null
  if (origin !== null) checkHoldsNoSecret(url)
  if (origin !== null && origins.includes(origin)) return
  throw refuse('url',
    `must have an origin allowed by the setting remote-scorers (${origins.join(', ') || 'none allowed'})`,
    shownUrl(url))
}

/**
 * A remote reward as a source of scores.
 * @param folder of the descriptor
 * @throws RequestError for an address that is none, whose origin is not among those allowed, a key that is not there,
 * or fields that do not go together
 */
export function remoteSource (descriptor: RemoteDescriptor, remotes: Remotes, folder: string): RewardSource {
  const { url, members, protocol, model = null, timeoutMs = 10_000, useActivation, tokenizer } = descriptor
  checkAddress(url, remotes)
  checkFields(descriptor)
  const apiKey = apiKeyOf(descriptor, remotes)
  const scorer: RemoteScorerInfo = {
    url,
    protocol: protocols[protocol as ProtocolName] as Protocol,
    asked: useActivation === undefined ? {} : { useActivation },
    model,
    apiKey,
    timeoutMs,
    heedsActivation: false
  }
  const rules = descriptor as ReadingRules
  let reading = tokenizer === undefined ? textReading(rules) : null
  return {
    members: Object.keys(members) as AnswerMember[],
    incompatibility: () => null,
    ...(tokenizer === undefined
      ? {}
      : { load: async () => { reading ??= await tokenReading(rules, resolve(folder, tokenizer)) } }),
    open (member, context) {
      if (!reading) throw new Error(`the tokenizer of reward ${context.name} was not loaded`)
      const { signal, salt } = context.request
      const asked = { ...scorer.asked, ...reading.asked }
      const batch = new RemoteBatch({ ...scorer, asked }, salt, signal)
      const { normalization } = members[member]!
      const read = reading.open(batch, member, normalization.mean)
      const scoring = new RemoteScorer(descriptor, apiKey, member, context, read)
      return {
        normalization,
        layers: [],
        forks: false,
        score: ({ messages }, answers) => Promise.all(answers.map(answer => scoring.score(messages, answer)))
      }
    }
  }
}
