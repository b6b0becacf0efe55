/** Scores given answers to one prompt: each is read once, all in the same steps, the prompt from the cache where it can. */
import { RequestError } from '../errors.js'
import { policyInfo } from '../rewards/policy.js'
import { resolveScorer } from '../rewards/resolve.js'
import type { Answer } from '../rewards/scorer.js'
import type { Host } from './host.js'
import { checkModel, renderPrompt } from './prompt.js'
import type { Scored, ScoreRequest } from './protocol.js'

/** @throws RequestError for unknown names and answers that do not fit the context */
export async function score (host: Host, request: ScoreRequest, signal: AbortSignal): Promise<Scored> {
  const { engine, model } = host
  checkModel(host, request.model)
  const { scorer, forks, warnings } = resolveScorer(host.rewards, { rewards: [{ name: request.reward, weight: 1 }], member: request.member, scale: 'standardized' }, policyInfo(model))
  const prompt = renderPrompt(host, request.messages)
  const answers = request.answers.map(text => ({ text, tokens: model.tokenizer.encode(text) }))
  const longest = Math.max(...answers.map(answer => answer.tokens.length))
  if (prompt.tokens.length + longest >= model.contextLength) {
    throw new RequestError('context_length_exceeded', `This model's context length is ${model.contextLength} tokens; the messages have ${prompt.tokens.length} and the longest answer ${longest}`, { param: 'answers' })
  }
  const reservation = await engine.reserve({ sequences: answers.length * (forks ? 2 : 1), promptTokens: prompt.tokens.length, answerTokens: longest + 1, sharesPrompt: false }, signal)
  const sequences = answers.map(answer => engine.open([...prompt.tokens, ...answer.tokens], { layers: scorer.layers, poolFrom: prompt.tokens.length, signal }))
  try {
    const read = await Promise.all(answers.map(async ({ text, tokens }, index): Promise<Answer> => {
      const sequence = sequences[index]!
      return { text, tokens, final: request.member === 'outcome', sequence, output: await sequence.output() }
    }))
    return { scores: await scorer.score(prompt, read), warnings }
  } finally {
    for (const sequence of sequences) sequence.close()
    reservation.release()
  }
}
