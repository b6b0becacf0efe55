/**
 * Makes length.json: the rule needs no training, only its statistics on the reference pool.
 *
 *   node dist/models/rewards/make/measure-length.js [--model NAME|PATH] [--threads N]
 */
import { prefixLengths } from '../../../src/fitting/features.js'
import { poolDescription, poolPrompts, referenceStatistics, samplePool } from '../../../src/fitting/reference-pool.js'
import { makeArguments, withPolicy, writeDescriptor } from './setup.js'

await withPolicy(makeArguments(), async policy => {
  const items = await samplePool(policy, poolPrompts())
  const lengths = items.map(item => item.answerTokens.length)
  const name = poolDescription(policy, items.length)
  await writeDescriptor({
    name: 'length',
    description: 'Number of tokens of the answer. A weight of −1 prefers short answers.',
    kind: 'rule',
    rule: 'length',
    members: {
      outcome: { normalization: referenceStatistics(lengths, name) },
      prefix: { normalization: referenceStatistics(lengths.flatMap(prefixLengths), `25, 50, 75 and 100 % of ${name}`) }
    }
  })
})
