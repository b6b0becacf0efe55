/**
 * Puts into a stream the tokens that the engine drew and did not send. They are drawn again with the same seed, which
 * must give the tokens that were sent, too; their logprobs are those of next tokens at their places.
 */
import type { EngineCall, EngineChunk, EngineProtocol, EngineToken } from './engine-call.js'
import { EngineFailure } from './engine-failure.js'

/** Next tokens that are asked for to find one among them: the second where the first were too few. */
const alternativeCounts = [64, 4096]

/** What is needed of a replica. */
interface Asked {
  readonly protocol: EngineProtocol
  readonly call: EngineCall
  /** What the engine calls the model. */
  readonly model: string
  /** The answer to a body, parsed. @throws EngineFailure */
  ask (body: object): Promise<unknown>
}

/** The token at a place of the answer, with its logprob. */
async function rated (
  { protocol, call, model, ask }: Asked, tokens: readonly number[], at: number
): Promise<EngineToken> {
  for (const alternatives of alternativeCounts) {
    const peek = protocol.peek({
      ...call,
      tokens: [...call.tokens, ...tokens.slice(0, at)],
      alternatives,
      stops: [],
      structure: null
    })
    const [first] = protocol.reader()(await ask(protocol.unsent!.whole(peek, model))).tokens
    const found = first?.top.find(({ token }) => token === tokens[at])
    if (found) return { ...found, top: first!.top }
  }
  throw new EngineFailure('lost', `did not tell the logprob of token ${tokens[at]} that it drew`)
}

/** All tokens from a place on. @param sent those that are known, by their places */
async function recovered (
  asked: Asked, sent: ReadonlyMap<number, EngineToken>, from: number, count: number
): Promise<EngineToken[]> {
  const { protocol: { unsent }, call, model, ask } = asked
  const tokens = unsent!.ids(await ask(unsent!.whole({ ...call, maxTokens: count }, model)))
  if (tokens.length < count || [...sent].some(([at, { token }]) => tokens[at] !== token)) {
    throw new EngineFailure('lost', 'drew other tokens when it was asked again for those that it had not sent')
  }
  const all: EngineToken[] = []
  for (let at = from; at < count; at++) all.push(sent.get(at) ?? await rated(asked, tokens, at))
  return all
}

/**
 * What streams, with nothing left out. Where tokens were kept back it ends with them, and is as if it had finished: the
 * next call goes on from there. Under a structure, which no other call can go on with, they come at the end.
 * @throws EngineFailure where they cannot be had
 */
export async function * withUnsent (
  chunks: AsyncIterable<EngineChunk>, asked: Asked
): AsyncGenerator<EngineChunk, void, undefined> {
  const { protocol, call } = asked
  const sent = new Map<number, EngineToken>()
  /** Tokens that were passed on, and drawn. */
  let [passed, count] = [0, 0]
  let last: EngineChunk | null = null
  for await (const chunk of chunks) {
    last = chunk
    const next = Math.max(chunk.count ?? 0, count + chunk.tokens.length)
    for (const [index, token] of chunk.tokens.entries()) sent.set(next - chunk.tokens.length + index, token)
    const isWhole = passed === count && next === count + chunk.tokens.length
    count = next
    if (isWhole) {
      passed = count
      yield chunk
    } else if (call.structure === null) break
  }
  if (passed === count) return
  const tokens = await recovered(asked, sent, passed, count)
  yield { tokens, finish: last!.finish ?? protocol.finished[0]!, usage: last!.usage }
}
