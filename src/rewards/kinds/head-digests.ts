/**
 * What a head computes, as digests: another server that has read the same descriptor tells the same ones (heads.py of
 * integrations/vllm).
 */
import { createHash } from 'node:crypto'
import type { QHead } from './q-head.js'

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')

/** Of weights and bias, as float64, little-endian. Lower-case hex, as the other one. */
export const weightsDigest = (
  { weights, bias }: { readonly weights: readonly number[], readonly bias: number }
): string => sha256(Buffer.from(Float64Array.from([...weights, bias]).buffer))

/** Of a Q-head's layer, rank and matrices, these as its descriptor holds them. */
export const qHeadDigest = ({ layer, rank, state, token }: Pick<QHead, 'layer' | 'rank' | 'state' | 'token'>): string =>
  sha256(`${layer} ${rank} ${state} ${token}`)
