/**
 * A toy behind the policy's seam as an engine elsewhere would be: an answer is its transcript, and all that can be
 * asked for is to extend it. It draws what this process's own backend draws.
 */
import type { DecodingRequest } from '../../src/decoding/request.js'
import { unreadAnswer } from '../../src/policies/unread-answer.js'
import { SamplingDistribution } from '../../src/policies/sampling-distribution.js'
import type { LocalPolicy } from '../../src/policies/local/local-policy.js'
import type { LocalRequest } from '../../src/policies/local/local-request.js'
import type { Generation, OpenPrompt, PolicyBackend, PolicyCapabilities } from '../../src/policies/policy.js'
import type { DrawnToken } from '../../src/policies/drawn-token.js'
import type { Random } from '../../src/policies/random-stream.js'
import type { SamplingParams } from '../../src/policies/sampling-params.js'
import { stopCheck, type StopCondition } from '../../src/policies/stop-condition.js'
import { Transcript } from '../../src/policies/transcript.js'
import type { Answer } from '../../src/rewards/scorer.js'
import { distributionOf, toyPrompt, type ToyPolicy } from './toy-policy.js'

export const remoteCapabilities: PolicyCapabilities = {
  alternatives: 0, distributions: false, hiddenStates: [], qHeads: null, constrainedContinuation: false
}

class RemoteGeneration implements Generation {
  readonly tokenwise = null
  readonly transcript: Transcript
  readonly #policy: ToyPolicy
  readonly #request: LocalRequest
  readonly #sampling: SamplingParams
  readonly #random: Random
  #script: readonly number[] = []

  constructor (
    policy: ToyPolicy, request: LocalRequest, sampling: SamplingParams, random: Random, from: Transcript | null
  ) {
    this.#policy = policy
    this.#request = request
    this.#sampling = sampling
    this.#random = random
    this.transcript = new Transcript({ ...request, sampling }, from)
  }

  #draw (): DrawnToken {
    const { drawn, tokenIds } = this.transcript
    const { temperature } = this.#sampling
    const raw = distributionOf(this.#policy.logits([...toyPrompt.tokens, ...tokenIds]), temperature)
    const distribution = new SamplingDistribution(raw, new Map(), this.#sampling)
    const token = this.#script[drawn] ??
      (temperature === 0 ? distribution.argmax() : distribution.draw(this.#random.next()))
    return { token, logprob: raw.logits[token]! - raw.logNormalizer, rated: null }
  }

  async * extend (until: StopCondition, max: number, signal: AbortSignal): AsyncGenerator<DrawnToken, boolean> {
    const isMet = stopCheck(until, this.transcript)
    for (let count = 0; count < max && !this.transcript.isFinished; count++) {
      await Promise.resolve()
      signal.throwIfAborted()
      const drawn = this.#draw()
      this.transcript.accept(drawn)
      const met = isMet()
      yield drawn
      if (met) return true
    }
    return false
  }

  fork (random: Random, sampling = this.#sampling): Generation {
    return new RemoteGeneration(this.#policy, this.#request, sampling, random, this.transcript)
  }

  follow (answer: Transcript): void { this.#script = answer.tokenIds }

  async answer (): Promise<Answer> {
    const { text, tokens, isFinished: final } = this.transcript
    return unreadAnswer({ text, tokens, final })
  }

  close (): void {}
}

/** The same request to a toy elsewhere. */
export function remotely (
  toy: ToyPolicy
): (request: DecodingRequest & { readonly policy: LocalPolicy }) => DecodingRequest {
  return request => {
    const { request: rules } = request.policy
    const policy: PolicyBackend = {
      capabilities: remoteCapabilities,
      rewardTokens: 0,
      open: async (): Promise<OpenPrompt> => ({
        begin: random => new RemoteGeneration(toy, rules, rules.sampling, random, null), close: () => {}
      })
    }
    return { ...request, policy, embeddingLayer: null }
  }
}
