/** The policy on an engine elsewhere. An answer is its transcript; the engine holds nothing between two calls. */
import type { Prompt } from '../../rewards/scorer.js'
import type { OpenPrompt, PolicyBackend, PolicyCapabilities } from '../policy.js'
import type { EngineReport } from './remote-engine.js'
import { RemoteGeneration } from './remote-generation.js'
import type { RemoteRequest } from './remote-request.js'
import type { Replica } from './replica.js'

export const remoteCapabilities = ({ alternatives, fields, guidingHeads }: EngineReport): PolicyCapabilities => ({
  alternatives: fields.includes('top_logprobs') ? alternatives : 0,
  distributions: false,
  hiddenStates: [],
  qHeads: guidingHeads.length > 0 ? 'backend' : null,
  constrainedContinuation: false
})

export class RemotePolicy implements PolicyBackend {
  readonly capabilities: PolicyCapabilities
  readonly request: RemoteRequest
  /** The session's order of replicas. */
  readonly order: readonly Replica[]
  rewardTokens = 0

  constructor (capabilities: PolicyCapabilities, request: RemoteRequest) {
    this.capabilities = capabilities
    this.request = request
    this.order = request.engine.replicas.order(request.session)
  }

  /** Nothing is read ahead: the first candidate's call fills the engine's cache for the others. */
  open (prompt: Prompt): Promise<OpenPrompt> {
    return Promise.resolve({
      begin: random => new RemoteGeneration(this, prompt, this.request.sampling, random),
      close: () => {}
    })
  }
}
