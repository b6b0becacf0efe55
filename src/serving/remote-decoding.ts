/** What strategies are given of a model on an inference engine elsewhere. */
import { createHash, randomUUID } from 'node:crypto'
import type { ContrastContext } from '../decoding/request.js'
import type { ComputeLedger } from '../engine/sequence.js'
import { IncrementalDetokenizer, pieceText } from '../models/tokenizer/detokenizer.js'
import { openReadings } from '../policies/local/context-reading.js'
import { RemotePolicy } from '../policies/remote/remote-policy.js'
import type { EngineLedger } from '../policies/remote/remote-request.js'
import type { PromptReading } from './contrast-prompts.js'
import type { PolicyPart } from './local-decoding.js'
import type { PreparedRequest } from './prepare.js'
import type { EngineUsage } from './protocol.js'
import { guidanceElsewhere, guidanceOf } from './remote-guidance.js'
import { structureOf } from './remote-rules.js'
import type { RemoteModel } from './served-models.js'

/**
 * Tokens that come together where an answer is judged before it is shown: what a lost replica, or an answer that is
 * given up early, has drawn in vain.
 */
const searchInterval = 16

/** Nothing is compared by hidden states, and no context is read by the policy: that was refused before. */
export function remoteDecoding (
  { model, remote, capabilities }: RemoteModel, prepared: PreparedRequest, signal: AbortSignal,
  { engine: ledger, reward }: { readonly engine: EngineLedger, readonly reward: ComputeLedger }
): PolicyPart {
  const tokenBytes = (token: number): Uint8Array =>
    prepared.skipSpecialTokens ? model.tokenizer.tokenBytes(token) : model.tokenizer.writtenBytes(token)
  const guidance = guidanceElsewhere(prepared.alignment)
  const { guides, temperature } = guidance
    ? guidanceOf(guidance, prepared.sampling, prepared.reward!.scorer)
    : { guides: null, temperature: prepared.sampling.temperature }
  const policy = new RemotePolicy(capabilities, {
    engine: remote,
    session: randomUUID(),
    // Engines take salts up to some length.
    salt: prepared.cacheSalt === '' ? '' : createHash('sha256').update(prepared.cacheSalt).digest('base64url'),
    structure: structureOf(prepared),
    heads: (prepared.reward?.scorer.layers.length ?? 0) > 0 ? remote.heads : null,
    guides,
    interval: prepared.alignment === null || guides !== null ? 1 : searchInterval,
    ledger,
    signal,
    sampling: { ...prepared.sampling, temperature },
    endTokens: model.tokenizer.endTokens,
    detokenizer: () => new IncrementalDetokenizer(tokenBytes),
    tokenBytes
  })
  const owned = { caller: prepared.caller, salt: prepared.cacheSalt, signal, ledger: reward }
  const contextOf = (context: PromptReading | null): ContrastContext | null => context && {
    tokens: context.tokens,
    isForeign: context.reader !== null,
    open: count => openReadings(policy, context.reader!.engine.open(context.tokens, { ...owned, fanOut: count }), count)
  }
  const { toward, away } = prepared.contrast
  return {
    policy,
    embeddingLayer: null,
    contrast: { toward: contextOf(toward), away: contextOf(away) },
    pieceOf: token => pieceText(tokenBytes(token))
  }
}

/** What a request used of the engine, as its caller is told. */
export const engineUsage = ({ cachedPromptTokens: _, ...usage }: EngineLedger): EngineUsage => usage
