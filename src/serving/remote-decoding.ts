/** What strategies are given of a model on an inference engine elsewhere. */
import { createHash, randomUUID } from 'node:crypto'
import { IncrementalDetokenizer } from '../models/tokenizer/detokenizer.js'
import { RemotePolicy, type EngineLedger } from '../policies/remote/remote-policy.js'
import type { PolicyPart } from './local-decoding.js'
import type { PreparedRequest } from './prepare.js'
import type { EngineUsage } from './protocol.js'
import { structureOf } from './remote-rules.js'
import type { RemoteModel } from './served-models.js'

/** Nothing is compared by hidden states or contrasted: a request that needs it was refused before. */
export function remoteDecoding (
  { model, remote, capabilities }: RemoteModel, prepared: PreparedRequest, ledger: EngineLedger
): PolicyPart {
  const tokenBytes = (token: number): Uint8Array =>
    prepared.skipSpecialTokens ? model.tokenizer.tokenBytes(token) : model.tokenizer.writtenBytes(token)
  const policy = new RemotePolicy(capabilities, {
    engine: remote,
    session: randomUUID(),
    // Engines take salts up to some length.
    salt: prepared.cacheSalt === '' ? '' : createHash('sha256').update(prepared.cacheSalt).digest('base64url'),
    structure: structureOf(prepared),
    ledger,
    sampling: prepared.sampling,
    endTokens: model.tokenizer.endTokens,
    detokenizer: () => new IncrementalDetokenizer(tokenBytes),
    tokenBytes
  })
  return { policy, embeddingLayer: null, contrast: { toward: null, away: null } }
}

/** What a request used of the engine, as its caller is told. */
export const engineUsage = ({ cachedPromptTokens: _, ...usage }: EngineLedger): EngineUsage => usage
