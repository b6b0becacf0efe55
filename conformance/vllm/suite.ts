/**
 * The suite `vllm`: a real vLLM on this machine's processor, installed into the cache as `requirements.txt` pins it, on
 * tiny models; `vllm-faults`, two engines that fail; and `vllm-default`, the default model with the plugin. Each engine
 * takes 2 to 4 GB.
 */
import { join } from 'node:path'
import { freePort } from '../../bench/harness/free-port.js'
import { packageRoot } from '../../src/package-root.js'
import type { SettingName } from '../../src/settings.js'
import { run } from '../../tools/child.js'
import type { EngineProcess } from '../engine-process.js'
import { withFairlead } from '../with-fairlead.js'
import { Checks } from './check.js'
import { allDeadCheck, deathChecks, hangCheck, wayChecks, type Pair } from './fault-checks.js'
import { FaultyWay } from './faulty-way.js'
import { guidanceChecks, guidanceCost, guidanceShift } from './guidance-checks.js'
import { exportDefault, installVllm } from './install.js'
import { leavingChecks } from './leaving-checks.js'
import { pluginChecks, pluginCost } from './plugin-checks.js'
import { headChecks, policyChecks } from './policy-checks.js'
import { letters, protocolChecks } from './protocol-checks.js'
import { rewardChecks } from './reward-checks.js'
import { rewardPairs, writeRewards, writeTinyModels } from './tiny-models.js'
import { startVllm, type VllmOptions } from './vllm-engine.js'

/** Where a suite works. */
interface Place { readonly scratch: string, readonly cacheDir: string }

// Without a listener a signal ends the process at once, and its engines would go on.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(1) })

/** Runs something against an engine. */
async function withEngine (options: VllmOptions, work: (engine: EngineProcess) => Promise<void>): Promise<void> {
  const engine = await startVllm(options)
  try {
    await work(engine)
  } finally {
    await engine.close()
  }
}

/** Tiny models: protocol, plugin, rewards of all protocols. */
export async function vllmSuite ({ scratch, cacheDir }: Place): Promise<void> {
  const python = await installVllm(cacheDir)
  const checks = new Checks()
  await run(python, ['-m', 'unittest', 'discover', '-s', join(packageRoot, 'integrations', 'vllm', 'tests')])
  const models = writeTinyModels(scratch)
  const fairlead = (rewards: string, url: string): Partial<Record<SettingName, string>> => ({
    model: models.policy,
    format: 'f32',
    rewardsDir: rewards,
    remoteScorers: url,
    cacheDir: join(scratch, 'cache'),
    dataDir: join(scratch, 'data')
  })
  const engine = { python, name: 'tiny' }
  await withEngine({ ...engine, model: models.policy, rewards: models.heads }, async engine => {
    await protocolChecks(checks, engine)
    const rewards = join(scratch, 'rewards-policy')
    writeRewards(rewards, models, { policy: engine.url })
    await withFairlead(fairlead(rewards, engine.url), async local => {
      await rewardChecks(checks, local, rewardPairs.policy)
      const prompts = [9, 33, 64].map(letters)
      await pluginChecks(checks, { engine, local, prompts, head: 'tinted', length: 24, ends: [0, 2] })
      const remote = {
        policy: `${engine.url}#tiny`,
        policyTokenizer: models.policy,
        rewardsDir: models.heads,
        dataDir: join(scratch, 'data-policy')
      }
      await withFairlead(remote, async far => {
        await policyChecks(checks, local, far, prompts)
        await headChecks(checks, local, far, prompts)
        await guidanceChecks(checks, { near: local, far, model: 'tiny', prompts, head: 'tinted', length: 24 })
      })
    })
  })
  for (const kind of ['reward', 'process'] as const) {
    const flags = ['--runner', 'pooling',
      ...kind === 'process' ? ['--pooler-config', '{"task":"token_classify","step_tag_id":0}'] : []]
    await withEngine({ ...engine, model: models[kind], flags }, async ({ url }) => {
      const rewards = join(scratch, `rewards-${kind}`)
      writeRewards(rewards, models, { [kind]: url })
      await withFairlead(fairlead(rewards, url), local => rewardChecks(checks, local, rewardPairs[kind]))
    })
  }
  checks.end()
}

/** Two engines that die, hang, send nonsense and refuse; clients that leave. Most of its time are starts of engines. */
export async function vllmFaultsSuite ({ scratch, cacheDir }: Place): Promise<void> {
  const python = await installVllm(cacheDir)
  const checks = new Checks()
  const { policy: model } = writeTinyModels(scratch)
  const ports = [await freePort(), await freePort()]
  const start = async (index: number): Promise<EngineProcess> => {
    const engine = await startVllm({ python, name: 'tiny', model, port: ports[index]!, inOneProcess: true })
    // The first call with logprobs compiles, for many seconds.
    await engine.post('/v1/completions', { prompt: letters(9), max_tokens: 2, logprobs: 1, seed: 1 })
    return engine
  }
  const pair: Pair = {
    engines: await Promise.all([0, 1].map(start)),
    restart: async index => { pair.engines[index] = await start(index) }
  }
  const before = (urls: readonly string[], more: Partial<Record<SettingName, string>> = {}): typeof more => ({
    policy: `${urls.join()}#tiny`, policyTokenizer: model, maxSequences: '24', dataDir: join(scratch, 'data'), ...more
  })
  const ways = await Promise.all(pair.engines.map(({ url }) => FaultyWay.start(url)))
  const timeoutMs = 5000
  try {
    const urls = pair.engines.map(({ url }) => url)
    await withFairlead(before(ways.map(({ url }) => url)), async address => {
      await leavingChecks(checks, { engines: pair.engines, ways, address })
      await wayChecks(checks, ways, address)
    })
    await withFairlead(before(urls, { policyTimeoutMs: String(timeoutMs) }),
      address => hangCheck(checks, pair, address, timeoutMs))
    await withFairlead(before(urls), async address => {
      await deathChecks(checks, pair, address)
      await allDeadCheck(checks, pair, address)
    })
  } finally {
    await Promise.all([...ways, ...pair.engines].map(one => one.close()))
  }
  checks.end()
}

/** The default model, its file made a folder in float32: the built-in heads inside vLLM. */
export async function vllmDefaultSuite ({ cacheDir, scratch }: Place): Promise<void> {
  const python = await installVllm(cacheDir)
  const checks = new Checks()
  const { file, folder } = await exportDefault(python, cacheDir)
  const rewards = join(packageRoot, 'models', 'rewards')
  await withEngine({ python, name: 'smollm2-135m', model: folder, rewards }, engine =>
    withFairlead({ format: 'f32', dataDir: join(scratch, 'data') }, async local => {
      const prompts: number[][] = []
      for (const content of ['Write a short review of a film about the sea.', 'What do you think of rain?']) {
        const { json } = await engine.post('/tokenize', { messages: [{ role: 'user', content }] })
        prompts.push(json['tokens'] as number[])
      }
      const pair = { engine, local, prompts, head: 'positive', length: 32, ends: [0, 2] }
      await pluginChecks(checks, pair)
      await pluginCost(checks, pair)
      const remote = {
        policy: `${engine.url}#${engine.name}`, policyTokenizer: file, dataDir: join(scratch, 'data-policy')
      }
      await withFairlead(remote, async far => {
        const sides = { near: local, far, model: engine.name, prompts, head: 'positive', length: 32 }
        await guidanceShift(checks, sides)
        await guidanceCost(checks, sides)
      })
    }))
  checks.end()
}
