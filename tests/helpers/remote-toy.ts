/** A toy policy behind a fake engine, and requests to it over HTTP as the server makes them. */
import { after } from 'node:test'
import type { DecodingRequest } from '../../src/decoding/request.js'
import type { LocalPolicy } from '../../src/policies/local/local-policy.js'
import type { EngineProtocol } from '../../src/policies/remote/engine-call.js'
import { vllmGenerate } from '../../src/policies/remote/protocols/vllm-generate.js'
import { engineFields } from '../../src/policies/remote/engine-fields.js'
import { RemoteEngine } from '../../src/policies/remote/remote-engine.js'
import { remoteCapabilities, RemotePolicy } from '../../src/policies/remote/remote-policy.js'
import { emptyEngineLedger, type EngineLedger } from '../../src/policies/remote/remote-request.js'
import { Replica, type ReplicaOptions } from '../../src/policies/remote/replica.js'
import { FakeEngine, type FakeEngineOptions } from './fake-engine.js'
import { ToyPolicy } from './toy-policy.js'

const opened: Array<{ close (): Promise<void> }> = []
after(async () => { for (const one of opened) await one.close() })

/** A fake engine on a toy whose t-th token is the t-th letter. Closed when the tests have ended. */
export async function toyEngine (
  toy = new ToyPolicy(), options: Partial<FakeEngineOptions> = {}
): Promise<FakeEngine> {
  const engine = await FakeEngine.start({
    logits: tokens => toy.logits(tokens),
    endToken: toy.endToken,
    text: token => String.fromCharCode(97 + token),
    ...options
  })
  opened.push(engine)
  return engine
}

/** Connected to some fakes, without probing them. */
export function connected (
  urls: readonly string[],
  { protocol = vllmGenerate, ...options }: Partial<ReplicaOptions> & { readonly protocol?: EngineProtocol } = {}
): RemoteEngine {
  const replicas = urls.map(url =>
    new Replica(url, { apiKey: null, timeoutMs: 10_000, totalTimeoutMs: 60_000, maxCalls: 64, ...options }))
  const engine = new RemoteEngine(replicas, protocol, {
    server: 'fake',
    urls,
    protocol: protocol.name,
    model: 'toy',
    contextLength: 64,
    alternatives: 20,
    fields: engineFields,
    ignored: [],
    countsCachedTokens: true,
    heads: [],
    guidingHeads: [],
    notes: []
  })
  opened.push(engine)
  return engine
}

/** The same request to an engine elsewhere. */
export function through (
  engine: RemoteEngine, { session = 'session', salt = '', interval = 1, ledger = emptyEngineLedger() }: {
    readonly session?: string, readonly interval?: number, readonly salt?: string, readonly ledger?: EngineLedger
  } = {}
): (request: DecodingRequest & { readonly policy: LocalPolicy }) => DecodingRequest {
  return request => {
    const { sampling, endTokens, detokenizer, tokenBytes } = request.policy.request
    const policy = new RemotePolicy(remoteCapabilities(engine.report),
      {
        engine,
        session,
        salt,
        structure: null,
        heads: null,
        guides: null,
        interval,
        signal: request.signal,
        ledger,
        sampling,
        endTokens,
        detokenizer: () => detokenizer(),
        tokenBytes: token => tokenBytes(token)
      })
    return { ...request, policy, embeddingLayer: null }
  }
}
