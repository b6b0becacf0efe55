/** Drawing from a distribution of which only the listed logits are there: the same tokens, or a refusal to guess. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MissingLogits, type Distribution } from '../../../src/engine/sequence.js'
import { SamplingDistribution } from '../../../src/policies/sampling-distribution.js'
import { uniform } from '../../../src/statistics/random.js'

const [size, listed] = [50, 8]
const random = uniform(4)

/** A distribution, and the part of it that is listed. */
function distributions (): readonly [whole: Distribution, partial: Distribution] {
  const logits = Float32Array.from({ length: size }, () => 4 * random())
  const topIds = Int32Array.from([...logits.keys()].sort((a, b) => logits[b]! - logits[a]!).slice(0, listed))
  const logNormalizer = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))
  const whole = {
    size, logNormalizer, temperedLogNormalizer: logNormalizer, topIds, topLogits: new Float32Array(), logits
  }
  const topLogits = Float32Array.from(topIds, id => logits[id]!)
  return [{ ...whole, topLogits },
    { ...whole, topLogits, isPartial: true, get logits (): Float32Array { throw new MissingLogits() } }]
}

const rules = { temperature: 1, minP: 0, topK: 0, topP: 1 }

test('a draw is the same as from all logits, or throws where it falls beyond the list', () => {
  let [same, beyond] = [0, 0]
  for (let trial = 0; trial < 500; trial++) {
    const [whole, partial] = distributions()
    const filters = [rules, { ...rules, topK: 5 }, { ...rules, topP: 0.5 }, { ...rules, minP: 0.3 },
      { ...rules, temperature: 0 }][trial % 5]!
    const u = random()
    const draw = (from: Distribution): number => {
      const sampling = new SamplingDistribution(from, new Map(), filters)
      return filters.temperature === 0 ? sampling.argmax() : sampling.draw(u)
    }
    const expected = draw(whole)
    try {
      assert.equal(draw(partial), expected)
      same++
    } catch (error) {
      assert.ok(error instanceof MissingLogits, String(error))
      beyond++
    }
  }
  assert.ok(same > 200 && beyond > 50, `${same} the same, ${beyond} beyond`)
})

test('what changes logits needs them all', () => {
  const [, partial] = distributions()
  assert.throws(() => new SamplingDistribution(partial, new Map([[3, 0]]), rules), MissingLogits)
  assert.throws(() => new SamplingDistribution(partial, new Map(), rules).all(), MissingLogits)
})
