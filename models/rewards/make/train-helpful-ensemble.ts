/**
 * Makes helpful_ensemble.json and its card: five heads on what helpful is fitted on, at its layer.
 *
 *   node dist/models/rewards/make/train-helpful-ensemble.js --data DIR [--model NAME|PATH] [--threads N]
 */
import { fitReward } from '../../../src/fitting/fit-reward.js'
import { helpfulFit, limits, preparation } from './helpful-data.js'
import { logProgress, makeArguments, withPolicy, writeReward } from './setup.js'

const args = makeArguments()
const fit = await helpfulFit(args.data)
await withPolicy(args, async (policy, cacheDirectory) => {
  const descriptor = await fitReward({
    ...fit,
    name: 'helpful_ensemble',
    description: 'What helpful rewards, as five heads see it: doubt counts against an answer, and answers they ' +
      'disagree on are told.',
    policy,
    layers: [15],
    ensemble: { heads: 5, uncertainty: 'bootstrap', combine: 'lcb', penalty: 1 },
    cacheDirectory,
    onProgress: logProgress
  })
  await writeReward(descriptor, {
    command: 'node dist/models/rewards/make/train-helpful-ensemble.js --data DIR',
    preparation,
    limits: [...limits, 'The heads share their data’s blind spots: that they agree does not make them right. Pressed ' +
      'hard it can be over-optimised too: watch an independent judge.']
  })
})
