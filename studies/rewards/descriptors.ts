/** Writes built-in rewards and their cards. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { say } from '../../src/cli/command.js'
import type { FittedDescriptor } from '../../src/fitting/fit-task.js'
import { packageRoot } from '../../src/package-root.js'
import { parseRewardFamily, type HeadDescriptor, type RewardDescriptor } from '../../src/rewards/descriptor.js'
import { rewardCard, type CardNotes } from './card.js'

/** A file of a built-in reward. */
export const rewardFile = (name: string): string => join(packageRoot, 'models/rewards', name)

/** The descriptor of a built-in reward that is a head. */
export const readHead = (name: string): HeadDescriptor =>
  JSON.parse(readFileSync(rewardFile(`${name}.json`), 'utf8')) as HeadDescriptor

/** Writes a fitted reward and its card beside it. */
export function writeReward (descriptor: FittedDescriptor, notes: CardNotes): void {
  writeDescriptor(descriptor)
  writeFileSync(rewardFile(`${descriptor.name}.md`), rewardCard(descriptor, notes))
}

/**
 * Writes a descriptor, one field a line, after checking that it can be read.
 * @param file default among the built-in rewards
 */
export function writeDescriptor (
  descriptor: RewardDescriptor, file = rewardFile(`${descriptor.name}.json`)
): void {
  const fields = Object.entries(descriptor).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`)
  const text = `{\n${fields.join(',\n')}\n}\n`
  parseRewardFamily(text, file)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  say(`wrote ${file}`)
}
