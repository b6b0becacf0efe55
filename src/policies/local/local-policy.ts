/** The policy on this process's own engine. */
import type { Output, Sequence } from '../../engine/sequence.js'
import type { Prompt } from '../../rewards/scorer.js'
import type { OpenPrompt, PolicyBackend, PolicyCapabilities } from '../policy.js'
import { LocalGeneration } from './local-generation.js'
import type { LocalRequest } from './local-request.js'

/** @param layers of the model */
export const localCapabilities = (layers: number): PolicyCapabilities => ({
  alternatives: Infinity,
  distributions: true,
  hiddenStates: Array.from({ length: layers + 1 }, (_, layer) => layer),
  qHeads: 'caller',
  constrainedContinuation: true
})

export class LocalPolicy implements PolicyBackend {
  readonly capabilities: PolicyCapabilities
  readonly request: LocalRequest
  rewardTokens = 0

  constructor (capabilities: PolicyCapabilities, request: LocalRequest) {
    this.capabilities = capabilities
    this.request = request
  }

  async open (prompt: Prompt): Promise<OpenPrompt> {
    const root = this.request.open(prompt.tokens)
    return this.#opened(prompt, root, await root.output())
  }

  #opened (prompt: Prompt, root: Sequence, output: Output): OpenPrompt {
    return {
      begin: (random, isLast) =>
        new LocalGeneration(this, prompt, this.request.sampling, random, isLast ? root : root.fork(), output),
      close: () => { root.close() }
    }
  }
}
