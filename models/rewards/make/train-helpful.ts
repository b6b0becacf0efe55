/**
 * Makes helpful.json and its card.
 *
 *   node dist/models/rewards/make/train-helpful.js --data DIR [--model NAME|PATH] [--threads N]
 */
import { fitReward } from '../../../src/fitting/fit-reward.js'
import { helpfulFit, limits, preparation } from './helpful-data.js'
import { logProgress, makeArguments, withPolicy, writeReward } from './setup.js'

const args = makeArguments()
const fit = await helpfulFit(args.data)
await withPolicy(args, async (policy, cacheDirectory) => {
  const descriptor = await fitReward({
    ...fit,
    name: 'helpful',
    description: 'Answers that a judge of instruction following prefers: to the point, complete, well formed.',
    policy,
    layers: [10, 12, 15],
    cacheDirectory,
    onProgress: logProgress
  })
  await writeReward(descriptor, {
    command: 'node dist/models/rewards/make/train-helpful.js --data DIR',
    preparation,
    limits: [...limits, 'Pressed hard (large fan-out or strength) a reward of this accuracy is over-optimised: watch ' +
      'an independent judge.']
  })
})
