/**
 * Makes a reward's version that is fitted on whole answers only, on the same data and layer, for evaluations that
 * compare the two as values of prefixes: models/evaluation/outcome-only/NAME.json. No reward for use: the server does
 * not load it.
 *
 *   node dist/models/rewards/make/train-outcome-only.js --reward positive|helpful --data DIR [--model NAME|PATH] \
 *     [--threads N]
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../../src/package-root.js'
import type { HeadDescriptor } from '../../../src/rewards/descriptor.js'
import { fitReward } from '../../../src/fitting/fit-reward.js'
import { helpfulFit } from './helpful-data.js'
import { positiveFit } from './positive-data.js'
import { log, logProgress, makeArguments, withPolicy, writeDescriptor } from './setup.js'

const fits = { positive: positiveFit, helpful: helpfulFit }

const args = makeArguments()
const own = fits[args.reward as keyof typeof fits]
if (!own) throw new Error(`--reward must be one of ${Object.keys(fits).join(', ')}; got ${JSON.stringify(args.reward)}`)
const { layer } = JSON.parse(await readFile(join(packageRoot, 'models/rewards', `${args.reward}.json`),
  'utf8')) as HeadDescriptor
const fit = await own(args.data)
await withPolicy(args, async (policy, cacheDirectory) => {
  const descriptor = await fitReward({
    ...fit,
    prefixes: false,
    name: `${args.reward}_outcome_only`,
    description: `${args.reward}, fitted on whole answers only.`,
    policy,
    layers: [layer],
    cacheDirectory,
    onProgress: logProgress
  })
  await writeDescriptor(descriptor, join(packageRoot, 'models/evaluation/outcome-only', `${args.reward}.json`))
  for (const { fraction, accuracy, standardError } of descriptor.metrics!.byPrefix) {
    log(`${100 * fraction} % of the answer read: ${(100 * accuracy).toFixed(1)} % ± ` +
      `${(100 * standardError).toFixed(1)} %`)
  }
})
