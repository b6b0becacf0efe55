/**
 * Rewards that another server computes. The operator names its address in a descriptor and allows its origin in the
 * settings; a request can name no address. Scores asked for in one turn of the event loop are sent together.
 * Knows HTTP, not what a protocol's bodies look like (`remote-protocols.ts`).
 */
import { Type, type Static, type TObject } from 'typebox'
import { RequestError } from '../../errors.js'
import { refuse } from '../../validation.js'
import { membersSchema } from '../descriptor-parts.js'
import type { OpenContext, RawScore, RewardSource } from '../reward-kind.js'
import { protocols, readScores, type Protocol, type ProtocolName, type RemoteItem } from './remote-protocols.js'
import type { AnswerMember } from '../scorer.js'

/** Fields of a remote reward's descriptor beside the family's. */
export const remoteFields = {
  kind: Type.Literal('remote'),
  /** The endpoint, path included. */
  url: Type.String({ maxLength: 2000 }),
  protocol: Type.Enum(Object.keys(protocols) as ProtocolName[]),
  /** `model` of the request, for servers that want one. */
  model: Type.Optional(Type.String({ minLength: 1 })),
  /** Which class's probability is the score, for `classify`. Default 0. */
  label: Type.Optional(Type.Integer({ minimum: 0 })),
  /** Environment variable with the server's key, which is sent as a bearer token. */
  apiKeyEnv: Type.Optional(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' })),
  /** How long the server may take for one request, ms. Default 10,000. */
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

/** Requests in flight to a server for one generation. */
const maxInFlight = 8
/** A response larger than this is not read. */
const maxResponseBytes = 8 << 20

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

interface Posting {
  readonly body: object
  readonly apiKey: string | null
  readonly timeoutMs: number
  /** Ends it early. */
  readonly signal: AbortSignal
}

/** The response's JSON. @throws Error in words that follow "the remote scorer" */
async function post (url: string, { body, apiKey, timeoutMs, signal }: Posting): Promise<unknown> {
  const timeout = AbortSignal.timeout(timeoutMs)
  const headers = {
    'content-type': 'application/json', ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` })
  }
  try {
    const response = await fetch(url, {
      method: 'POST', headers, body: JSON.stringify(body), redirect: 'error', signal: AbortSignal.any([signal, timeout])
    })
    const text = await readText(response)
    if (!response.ok) throw new Error(`returned status ${response.status}`)
    return parseJson(text)
  } catch (error) {
    if (timeout.aborted && !signal.aborted) throw new Error(`did not respond within ${timeoutMs} ms`, { cause: error })
    if (error instanceof TypeError) {
      throw new Error(`is unreachable (${(error.cause as Error | undefined)?.message ?? error.message})`,
        { cause: error })
    }
    throw error
  }
}

async function readText (response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk as Uint8Array)
    size += (chunk as Uint8Array).length
    if (size > maxResponseBytes) throw new Error(`returned more than ${maxResponseBytes} bytes`)
  }
  return Buffer.concat(chunks).toString()
}

function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`must return JSON; got ${JSON.stringify(text.slice(0, 80))}`, { cause: error })
  }
}

interface Waiting {
  readonly item: RemoteItem, readonly resolve: (score: number) => void, readonly reject: (error: Error) => void
}

/** Gathers what is asked for in one turn of the event loop and sends it in as few requests as the protocol takes. */
export class RemoteBatch {
  readonly #descriptor: RemoteDescriptor
  readonly #apiKey: string | null
  readonly #signal: AbortSignal
  readonly #queue: Waiting[] = []
  #inFlight = 0
  #scheduled = false

  /** @param signal ends what is under way, and refuses what waits */
  constructor (descriptor: RemoteDescriptor, apiKey: string | null, signal: AbortSignal) {
    this.#descriptor = descriptor
    this.#apiKey = apiKey
    this.#signal = signal
  }

  /** @throws Error in words that follow "the remote scorer" */
  score (item: RemoteItem): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject })
      if (this.#scheduled) return
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.#send()
      })
    })
  }

  #send (): void {
    const protocol: Protocol = protocols[this.#descriptor.protocol as ProtocolName]
    while (this.#queue.length > 0 && this.#inFlight < maxInFlight) {
      const batch = this.#queue.splice(0, protocol.maxItems)
      this.#inFlight++
      this.#ask(protocol, batch.map(({ item }) => item)).then(
        scores => { for (const [index, { resolve }] of batch.entries()) resolve(scores[index]!) },
        (error: Error) => { for (const { reject } of batch) reject(error) }
      ).finally(() => {
        this.#inFlight--
        this.#send()
      })
    }
  }

  async #ask (protocol: Protocol, items: readonly RemoteItem[]): Promise<number[]> {
    const { url, model, label = 0, timeoutMs = 10_000 } = this.#descriptor
    this.#signal.throwIfAborted()
    const response = await post(url, {
      body: { ...(model === undefined ? {} : { model }), ...protocol.body(items) },
      apiKey: this.#apiKey,
      timeoutMs,
      signal: this.#signal
    })
    return readScores(response, items.length, protocol, label)
  }
}

/** Scores of answers under the descriptor's failure policy. */
class RemoteScorer {
  readonly #descriptor: RemoteDescriptor
  readonly #member: AnswerMember
  readonly #context: OpenContext
  readonly #batch: RemoteBatch
  readonly #apiKey: string | null
  #asked = 0
  #failed = 0

  constructor (descriptor: RemoteDescriptor, apiKey: string | null, member: AnswerMember, context: OpenContext) {
    this.#descriptor = descriptor
    this.#member = member
    this.#context = context
    this.#apiKey = apiKey
    this.#batch = new RemoteBatch(descriptor, apiKey, context.request.signal)
  }

  async score (item: RemoteItem): Promise<RawScore> {
    this.#asked++
    try {
      return { raw: await this.#batch.score(item) }
    } catch (error) {
      this.#context.request.signal.throwIfAborted()
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

/**
 * A remote reward as a source of scores.
 * @throws RequestError for an address that is none, whose origin is not among those allowed, or a key that is not there
 */
export function remoteSource (descriptor: RemoteDescriptor, remotes: Remotes): RewardSource {
  const { url, members, protocol, label } = descriptor
  const origin = URL.canParse(url) ? new URL(url).origin : null
  if (origin !== null) checkHoldsNoSecret(url)
  if (origin === null || !remotes.origins.includes(origin)) {
    throw refuse('url',
      `must have an origin allowed by the setting remote-scorers (${remotes.origins.join(', ') || 'none allowed'})`,
      shownUrl(url))
  }
  if (label !== undefined &&
      protocol !== 'classify') throw refuse('label', 'is only valid with the protocol classify', label)
  const apiKey = apiKeyOf(descriptor, remotes)
  return {
    members: Object.keys(members) as AnswerMember[],
    incompatibility: () => null,
    open (member, context) {
      const scorer = new RemoteScorer(descriptor, apiKey, member, context)
      return {
        normalization: members[member]!.normalization,
        layers: [],
        forks: false,
        score: ({ messages }, answers) =>
          Promise.all(answers.map(({ text }) => scorer.score({ messages, answer: text })))
      }
    }
  }
}
