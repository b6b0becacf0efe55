/**
 * Rewards that another server computes. The operator names its address in a descriptor and allows its origin in the settings; nothing a
 * request says is ever fetched. Scores asked for in one turn of the event loop travel together. Knows HTTP, not what a protocol's bodies
 * look like (`remote-protocols.ts`).
 */
import { Type, type Static, type TObject } from 'typebox'
import { RequestError } from '../errors.js'
import { refuse } from '../validation.js'
import { membersSchema } from './descriptor-parts.js'
import type { OpenContext, RawScore, RewardSource } from './kind.js'
import { protocols, readScores, type Protocol, type ProtocolName, type RemoteItem } from './remote-protocols.js'
import type { RewardMember } from './scorer.js'

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
  /** How long the server may take for one request, ms. Default 10,000. */
  timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
  /** What becomes of a request when the server fails: `error` (default) ends it, `policy_only` counts the answers concerned as average and warns. */
  onFailure: Type.Optional(Type.Enum(['error', 'policy_only'])),
  members: membersSchema
}

export type RemoteDescriptor = Static<TObject<typeof remoteFields>>

/** Requests in flight to a server for one generation. */
const mostInFlight = 8
/** A response larger than this is not read. */
const mostResponseBytes = 8 << 20

/** Origins as URLs write them. @throws RequestError for what is not an http or https origin */
export function parseOrigins (origins: readonly string[]): string[] {
  return origins.map(one => {
    const url = URL.canParse(one) ? new URL(one) : null
    if (!url || !/^https?:$/.test(url.protocol) || one.replace(/\/$/, '').toLowerCase() !== url.origin) throw refuse('remote-scorers', 'must hold origins, such as http://127.0.0.1:8001', one)
    return url.origin
  })
}

/** The response's JSON. @throws Error in words that follow "the remote scorer" */
async function post (url: string, body: object, timeoutMs: number): Promise<unknown> {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), redirect: 'error', signal })
    const text = await readText(response)
    if (!response.ok) throw new Error(`answered with status ${response.status}`)
    return parseJson(text)
  } catch (error) {
    if (signal.aborted) throw new Error(`did not answer within ${timeoutMs} ms`, { cause: error })
    if (error instanceof TypeError) throw new Error(`cannot be reached (${(error.cause as Error | undefined)?.message ?? error.message})`, { cause: error })
    throw error
  }
}

async function readText (response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk as Uint8Array)
    size += (chunk as Uint8Array).length
    if (size > mostResponseBytes) throw new Error(`answered with more than ${mostResponseBytes} bytes`)
  }
  return Buffer.concat(chunks).toString()
}

function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`must answer with JSON; got ${JSON.stringify(text.slice(0, 80))}`, { cause: error })
  }
}

interface Waiting { readonly item: RemoteItem, readonly resolve: (score: number) => void, readonly reject: (error: Error) => void }

/** Gathers what is asked for in one turn of the event loop and sends it in as few requests as the protocol takes. */
export class RemoteBatch {
  readonly #descriptor: RemoteDescriptor
  readonly #queue: Waiting[] = []
  #inFlight = 0
  #scheduled = false

  constructor (descriptor: RemoteDescriptor) {
    this.#descriptor = descriptor
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
    while (this.#queue.length > 0 && this.#inFlight < mostInFlight) {
      const batch = this.#queue.splice(0, protocol.mostItems)
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
    const response = await post(url, { ...(model === undefined ? {} : { model }), ...protocol.body(items) }, timeoutMs)
    return readScores(response, items.length, protocol, label)
  }
}

/** Scores of answers under the descriptor's failure policy. */
class RemoteScorer {
  readonly #descriptor: RemoteDescriptor
  readonly #member: RewardMember
  readonly #context: OpenContext
  readonly #batch: RemoteBatch
  #asked = 0
  #failed = 0

  constructor (descriptor: RemoteDescriptor, member: RewardMember, context: OpenContext) {
    this.#descriptor = descriptor
    this.#member = member
    this.#context = context
    this.#batch = new RemoteBatch(descriptor)
  }

  async score (item: RemoteItem): Promise<RawScore> {
    this.#asked++
    try {
      return { raw: await this.#batch.score(item) }
    } catch (error) {
      const problem = `reward "${this.#context.name}": the remote scorer ${(error as Error).message}`
      if (this.#descriptor.onFailure !== 'policy_only') throw new RequestError('scorer_failed', problem, { cause: error })
      this.#failed++
      this.#context.warn('reward_unavailable', `${problem}; ${this.#failed} of ${this.#asked} answers count as average`)
      return { raw: this.#descriptor.members[this.#member]!.normalization.mean }
    }
  }
}

/** A remote reward as a source of scores. @throws RequestError for an address that is none, or whose origin is not among those allowed */
export function remoteSource (descriptor: RemoteDescriptor, allowed: readonly string[]): RewardSource {
  const { url, members, protocol, label } = descriptor
  const origin = URL.canParse(url) ? new URL(url).origin : null
  if (origin === null || !allowed.includes(origin)) throw refuse('url', `must have an origin that the setting remote-scorers allows (${allowed.join(', ') || 'it allows none'})`, url)
  if (label !== undefined && protocol !== 'classify') throw refuse('label', 'belongs to the protocol classify', label)
  return {
    members: Object.keys(members) as RewardMember[],
    misfit: () => null,
    open (member, context) {
      const scorer = new RemoteScorer(descriptor, member, context)
      return {
        normalization: members[member]!.normalization,
        layers: [],
        forks: false,
        score: ({ messages }, answers) => Promise.all(answers.map(({ text }) => scorer.score({ messages, answer: text })))
      }
    }
  }
}
