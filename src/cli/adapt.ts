/** `fairlead adapt`: personalises a decomposed reward from a few pairs. */
import { basename, join } from 'node:path'
import { loadServedModel } from '../serving/served-models.js'
import { adaptReward } from '../fitting/adapt-reward.js'
import { parseExamples } from '../fitting/examples.js'
import { readablePolicy } from '../rewards/readable-policy.js'
import { findFamily } from '../rewards/resolve-scorer.js'
import { refuse } from '../validation.js'
import { readText, say, type Command } from './command.js'
import { engineConfigOf, engineOptions, requiredOption, textOption, type Options } from './options.js'

const options: Options = {
  reward: { type: 'string', help: 'name of a reward fitted with --directions' },
  name: { type: 'string', help: 'name of the new reward' },
  train: {
    type: 'string',
    help: 'the user’s preference pairs (1 to 100; 3 to 15 are enough): JSON lines {"prompt", "chosen", "rejected"}'
  },
  description: { type: 'string', help: 'short description of the new reward' },
  ...engineOptions
}

export const adapt: Command = {
  usage: '--reward NAME --train FILE --name NAME',
  options,
  maxPositionals: 0,
  async run (values) {
    const [reward, name, file] = [requiredOption(values, 'reward'), requiredOption(values, 'name'),
      requiredOption(values, 'train')]
    const config = engineConfigOf(values)
    const examples = parseExamples(readText(file), basename(file))
    if (examples.kind !== 'pairs') throw refuse('--train', 'must contain pairs with chosen and rejected', examples.kind)
    const description = textOption(values, 'description') ?? `${reward} adapted to ${basename(file)}`
    const served = await loadServedModel(config, say)
    try {
      served.store.checkFree(name, true)
      const policy = readablePolicy(served)
      const family = findFamily(served.rewards, reward, policy, 'reward')
      const descriptor = await adaptReward(family, { name, description, pairs: examples.pairs },
        { policy, cacheDirectory: join(config.cacheDir, 'features') })
      const { leaveOneOut, equalPairs } = descriptor.adaptation!
      if (equalPairs !== undefined) say(`${equalPairs} pairs left out: their answers are equal as they are read`)
      if (leaveOneOut) {
        say(`leave-one-out pairwise accuracy: adapted ${leaveOneOut.adapted.toFixed(2)}, ${reward} itself ` +
          `${leaveOneOut.single.toFixed(2)}, adapted random heads ${leaveOneOut.randomHeads.toFixed(2)}`)
      }
      console.log((await served.store.save(descriptor)).file)
    } finally {
      await served.close()
    }
  }
}
