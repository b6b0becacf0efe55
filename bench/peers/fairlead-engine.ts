/**
 * Fairlead as one of the engines measured: engine and sampler in this process, without HTTP, as the peers are. Takes
 * the settings of `fairlead bench`.
 */
import { loadConfig } from '../../src/config.js'
import { engineOptions, parseOptions, settingFlags } from '../../src/cli/options.js'
import { SamplingDistribution } from '../../src/policies/sampling-distribution.js'
import { randomStream } from '../../src/policies/random-stream.js'
import type { ComputeLedger } from '../../src/engine/sequence.js'
import { loadServedModel, type LocalModel } from '../../src/serving/served-models.js'
import { packageVersion } from '../../src/package-root.js'
import { answerTasks } from './answering.js'
import type { Measured } from './protocol.js'

const plainSampling = { temperature: 1, minP: 0, topK: 0, topP: 1 }
let runs = 0

/**
 * As a request with that fan-out is served: the prompt is read once and forked, every candidate goes on in its own
 * loop.
 */
async function run (
  { engine }: LocalModel, candidates: number, prompt: readonly number[], newTokens: number
): Promise<Measured> {
  const seed = ++runs
  const ledger: ComputeLedger = { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 }
  const started = performance.now()
  // A salt of its own, so that nothing of an earlier prompt is taken from the prefix cache.
  const root = engine.open(prompt, { fanOut: candidates, salt: String(seed), ledger })
  await root.output()
  const promptTokens = ledger.computedTokens
  let first = 0
  const drawn = await Promise.all(Array.from({ length: candidates }, async (_, index) => {
    const sequence = index === candidates - 1 ? root : root.fork()
    const random = randomStream(seed, String(index))
    const tokens: number[] = []
    for (;;) {
      const { distribution } = await sequence.output()
      const token = new SamplingDistribution(distribution, new Map(), plainSampling).draw(random.next())
      if (tokens.push(token) === 1) first = performance.now()
      if (tokens.length === newTokens) break
      sequence.append(token)
    }
    sequence.close()
    return tokens
  }))
  return { firstMs: first - started, totalMs: performance.now() - started, promptTokens, drawn }
}

const config =
  loadConfig(settingFlags(parseOptions({ options: engineOptions, maxPositionals: 0 }, process.argv.slice(2)).values))
const served = await loadServedModel(config, message => { process.stderr.write(`${message}\n`) })
await served.model.sessions?.settled()
await answerTasks({
  about: { version: packageVersion, configuration: `format ${config.format}` },
  withRun: ({ candidates }, use) => use((prompt, newTokens) => run(served, candidates, prompt, newTokens))
})
await served.close()
