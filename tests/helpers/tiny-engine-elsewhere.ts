/** A fake engine with the tiny model's tokenizer, whose policy writes short words, and servers in front of it. */
import { after } from 'node:test'
import { qHeadDigest, weightsDigest } from '../../src/rewards/kinds/head-digests.js'
import { encodeFloats } from '../../src/rewards/kinds/q-head.js'
import { FakeEngine, type FakeEngineOptions } from './fake-engine.js'
import type { FakeHead } from './fake-guidance.js'
import { FakeLlamaServer, type FakeLlamaOptions } from './fake-llama-server.js'
import { tinyModel } from './tiny-model.js'

const { tokenizer } = tinyModel
const opened: Array<{ close (): Promise<void> }> = []
after(async () => { for (const engine of opened) await engine.close() })

/** Tokens that answers are made of. */
const letters = ['a', 'b', 'c', ' ', '\n', '.'].map(text => tokenizer.encode(text)[0]!)
const endToken = tokenizer.endTokens[0]!

/** A number in [0, 1) for some tokens. */
function noise (tokens: readonly number[], salt: number): number {
  let state = salt + 1
  for (const token of tokens.slice(-6)) state = Math.imul(state ^ token, 2654435761) >>> 0
  return (Math.imul(state ^ (state >>> 15), 2246822519) >>> 0) / 2 ** 32
}

/** Letters are likely, the end is now and then, all other tokens are improbable. */
function logits (tokens: readonly number[]): number[] {
  const row = new Array<number>(tokenizer.vocabularySize).fill(-12)
  for (const letter of letters) row[letter] = 2 * noise(tokens, letter)
  row[endToken] = -1
  return row
}

export const elsewhere = {
  logits,
  endToken,
  text: (token: number) => tokenizer.decode([token]),
  tokenize: (text: string) => tokenizer.encode(text),
  model: 'org/tiny',
  maxModelLen: 256
} satisfies FakeEngineOptions

/** Closed when the tests have ended. */
export async function tinyEngineElsewhere (
  options: Partial<FakeEngineOptions> = {}, port = 0
): Promise<FakeEngine> {
  const engine = await FakeEngine.start({ ...elsewhere, ...options }, port)
  opened.push(engine)
  return engine
}

const [sink, reference, mantissa, exponent] = [263, 262, 261, 260]

/** A descriptor of a head, which the engine of `withHead` has, too. */
export const tinyHead = {
  name: 'tinted',
  description: 'A head.',
  kind: 'head',
  layer: 1,
  pooling: 'mean',
  bias: 0,
  members: {
    outcome: { normalization: { mean: 0.5, std: 2, pool: 'none' } },
    prefix: { normalization: { mean: 0.5, std: 2, pool: 'none' } }
  },
  policy: { id: 'tiny', weightsSha256: '0'.repeat(64), format: 'f32' },
  weights: Array.from({ length: 64 }, () => 0.5),
  nextToken: {
    layer: 1,
    rank: 1,
    state: encodeFloats(new Float32Array(65)),
    token: encodeFloats(new Float32Array(65)),
    fit: { prompts: 1, positions: 1, values: 1, regularization: 0.1 },
    metrics: { rankCorrelation: 0, standardError: 1, candidates: 2, positions: 1, prompts: 1, split: 'none' }
  }
}

/** What the head of `withHead` says after a token. */
export const tinyHeadValue = (token: number): number => token % 7 - 2.75

/** The same as the engine guides by it. */
export const tinyGuide: FakeHead = { name: 'tinted', value: tinyHeadValue, mean: 0.5, std: 2 }

/** An engine with the plugin of integrations/vllm. */
export const withHead: Partial<FakeEngineOptions> = {
  heads: {
    version: '0.2.0',
    interface: 1,
    channels: { sink, reference, mantissa_scale: 32, exponent_scale: 0.25 },
    heads: [{
      ...tinyHead,
      mantissa,
      exponent,
      sha256: weightsDigest(tinyHead),
      next_token: true,
      next_token_sha256: qHeadDigest(tinyHead.nextToken)
    }]
  },
  guide: tinyGuide,
  lent: (tokens, token) => {
    const value = tinyHeadValue(tokens.at(-1)!)
    const power = Math.ceil(Math.log2(Math.abs(value)))
    const above: Readonly<Record<number, number>> =
      { [sink]: 60, [reference]: 0, [mantissa]: 32 * value / 2 ** power, [exponent]: 0.25 * power }
    return -80 + above[token]!
  }
}

/** The pieces of one character. */
const emoji = tokenizer.encode('🙂')

/** After a piece of the character its next piece is likely, else its first now and then. */
export function logitsOfPieces (tokens: readonly number[]): number[] {
  const row = logits(tokens)
  const at = emoji.indexOf(tokens.at(-1)!)
  if (at >= 0 && at < emoji.length - 1) row[emoji[at + 1]!] = 8
  else row[emoji[0]!] = 1.4
  return row
}

/** llama.cpp's server, whose answers have characters of several tokens. Closed when the tests have ended. */
export async function tinyLlamaServer (options: Partial<FakeLlamaOptions> = {}): Promise<FakeLlamaServer> {
  const engine = await FakeLlamaServer.start({
    ...elsewhere, logits: logitsOfPieces, bytes: token => tokenizer.writtenBytes(token), ...options
  })
  opened.push(engine)
  return engine
}
