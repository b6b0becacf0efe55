/** A reward with a model of its own as one request opens it, on toy answers that no policy wrote. */
import { dirname } from 'node:path'
import { ComputeLock } from '../../src/engine/compute-lock.js'
import type { ModelRuntime } from '../../src/engine/model-runtime.js'
import { unreadAnswer } from '../../src/policies/unread-answer.js'
import { parseRewardFamily } from '../../src/rewards/descriptor.js'
import type { RewardLedger } from '../../src/rewards/reward-kind.js'
import type { PolicyInfo } from '../../src/rewards/readable-policy.js'
import { resolveScorer, type ResolvedScorer } from '../../src/rewards/resolve-scorer.js'
import type { Answer, Prompt, RewardMember } from '../../src/rewards/scorer.js'
import { ModelPool } from '../../src/serving/model-pool.js'

const policy: PolicyInfo = {
  id: 'toy',
  weightsSha256: '0'.repeat(64),
  format: 'f32',
  kernels: 'toy',
  hiddenSize: 64,
  layers: 2,
  endTokens: [2],
  embedding: () => new Float32Array(64)
}

export const answerOf = (text: string, final: boolean): Answer => unreadAnswer({ text, tokens: [3], final })
export const promptOf = (content: string): Prompt => ({ messages: [{ role: 'user', content }], text: '', tokens: [1] })

export interface OpenReward {
  readonly resolved: ResolvedScorer
  readonly ledger: Readonly<RewardLedger>
  /** Raw scores. */
  score (prompt: Prompt, answers: readonly Answer[]): Promise<number[]>
  /** Ends the request. @returns sequences that it left open */
  end (): Promise<number>
}

/**
 * @param file of the descriptor; its folder also keeps converted weights
 * @param written the policy, for rewards that read through it
 */
export async function openReward (
  file: string, descriptor: object, member: RewardMember, width = 4,
  written: ModelRuntime = null as never
): Promise<OpenReward> {
  const models = new ModelPool({
    threads: 1, cacheDir: dirname(file), rewardKvCacheBytes: 2 ** 24, prefillTokensPerStep: 64, maxQueuedRequests: 8
  }, { computeLock: new ComputeLock() })
  const family = parseRewardFamily(JSON.stringify({ name: 'judge', description: 'x', ...descriptor }), file)
  try {
    await family.source.load!(models)
  } catch (error) {
    await models.close()
    throw error
  }
  const controller = new AbortController()
  const resolved = resolveScorer([family], { rewards: [{ name: 'judge', weight: 1 }], member, scale: 'raw' }, policy,
    { width, tokens: 256, reader: written, salt: '', signal: controller.signal })
  return {
    resolved,
    ledger: resolved.ledger,
    score: async (prompt, answers) => (await resolved.scorer.score(prompt, answers)).map(score => score.value),
    async end () {
      controller.abort(new Error('the end'))
      const left = resolved.demands[0]!.runtime.engine.stats().sequences
      await models.close()
      return left
    }
  }
}
