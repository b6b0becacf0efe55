/**
 * Answers under a constraint: drawn from the policy with what is forbidden taken out, whatever the strategy; nothing
 * stays open.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { everyStrategy, oddities, run, textOf, tokensOf } from '../../helpers/run-strategy.js'
import { assertDrawnFrom } from '../../helpers/statistics.js'
import { mayFollow, ToyConstraint } from '../../helpers/toy-constraint.js'
import { ToyPolicy, toyPrompt } from '../../helpers/toy-policy.js'

const maxTokens = 4

/**
 * Every answer under the constraint with its probability: at each token the policy's, renormalised over what is
 * allowed.
 */
function enumerate (policy: ToyPolicy, tokens: readonly number[] = [], probability = 1): Array<[string, number]> {
  if (tokens.length === maxTokens) return [[textOf(tokens), probability]]
  const allowed = Array.from({ length: policy.size }, (_, token) => token)
    .filter(token => mayFollow(tokens, token, policy.endToken))
  const shares = allowed.map(token => Math.exp(policy.logProbability([...toyPrompt.tokens, ...tokens], token)))
  const sum = shares.reduce((total, share) => total + share, 0)
  return allowed.flatMap((token, index) => {
    const next = probability * shares[index]! / sum
    return token === policy.endToken
      ? [[`${textOf(tokens)}.`, next]] as Array<[string, number]>
      : enumerate(policy, [...tokens, token], next)
  })
}

test('plain sampling draws from the policy renormalised over what is allowed', async () => {
  const policy = new ToyPolicy({ size: 4, seed: 3 })
  const drawn: string[] = []
  for (let seed = 0; seed < 4000; seed++) {
    const { text, finishReason } = (await run(null,
      { policy, seed, constraint: new ToyConstraint(policy.endToken), sampling: { maxTokens } })).result.choices[0]!
    drawn.push(finishReason === 'stop' ? `${text}.` : text)
  }
  assertDrawnFrom(new Map(enumerate(policy)), drawn, 'constrained')
})

test('every strategy holds all its candidates to the constraint, and closes them', async () => {
  let ended = 0
  for (const alignment of [null, ...everyStrategy]) {
    for (let seed = 1; seed <= 5; seed++) {
      const policy = new ToyPolicy()
      const constraint = new ToyConstraint(policy.endToken)
      const { result } =
        await run(alignment, { policy, seed, constraint, scorer: oddities, sampling: { maxTokens: 8 } })
      for (const { text, finishReason } of result.candidates) {
        const tokens = tokensOf(text)
        assert.ok(tokens.every((token, index) => token !== tokens[index - 1]), `${JSON.stringify(alignment)}: ${text}`)
        if (finishReason === 'stop') assert.equal(tokens.length % 2, 0, `${JSON.stringify(alignment)}: ${text}`)
      }
      ended += result.candidates.filter(one => one.finishReason === 'stop').length
      assert.equal(constraint.open, 0, JSON.stringify(alignment))
    }
  }
  assert.ok(ended > 100)
})
