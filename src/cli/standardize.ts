/**
 * `fairlead standardize`: measures a custom reward's mean and standard deviation on the policy's answers and writes
 * them into the reward's file.
 */
import { join, sep } from 'node:path'
import { RequestError } from '../errors.js'
import { loadServedModel } from '../serving/served-models.js'
import { measureStatistics } from '../serving/standardize-reward.js'
import { packageRoot } from '../package-root.js'
import { writeAtomically } from '../atomic-file.js'
import { rewardNotFound, type RewardFamily } from '../rewards/descriptor.js'
import { readText, say, type Command } from './command.js'
import { engineConfigOf, engineOptions, requiredOption, type Options } from './options.js'

const options: Options = {
  reward: { type: 'string', help: 'name of a reward in --rewards-dir or --data-dir' },
  ...engineOptions
}

/** @throws RequestError for an unknown reward or a built-in one */
function findOwn (rewards: readonly RewardFamily[], name: string): RewardFamily {
  const family = rewards.find(one => one.name === name)
  if (!family) throw rewardNotFound(name, rewards, 'reward')
  if (family.file.startsWith(join(packageRoot, 'models') + sep)) {
    throw new RequestError('invalid_request',
      `reward "${name}" is built-in and already standardised`, { param: 'reward' })
  }
  return family
}

export const standardize: Command = {
  usage: '--reward NAME',
  options,
  maxPositionals: 0,
  async run (values) {
    const name = requiredOption(values, 'reward')
    const served = await loadServedModel(engineConfigOf(values), say)
    try {
      const family = findOwn(served.rewards, name)
      const members = await measureStatistics(served, family, say, new AbortController().signal)
      const descriptor = JSON.parse(readText(family.file)) as object
      await writeAtomically(family.file, `${JSON.stringify({ ...descriptor, members }, null, 2)}\n`, 'rewards')
      for (const [member, statistics] of Object.entries(members)) {
        say(`${member}: mean ${statistics.normalization.mean}, standard deviation ${statistics.normalization.std}`)
      }
      console.log(family.file)
    } finally {
      await served.close()
    }
  }
}
