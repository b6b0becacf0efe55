/**
 * The suite `vllm`: a real vLLM on this machine's processor, installed into the cache as `requirements.txt` pins it, on
 * tiny models; and `vllm-default`, the default model with the plugin. One engine at a time: each takes 2 to 4 GB.
 */
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import { loadConfig } from '../../src/config.js'
import { resolveModel } from '../../src/models/store/model-store.js'
import { packageRoot } from '../../src/package-root.js'
import type { SettingName } from '../../src/settings.js'
import { installOnce, installPython, run } from '../../tools/child.js'
import type { EngineProcess } from '../engine-process.js'
import { withFairlead } from '../with-fairlead.js'
import { Checks } from './check.js'
import { guidanceChecks, guidanceCost, guidanceShift } from './guidance-checks.js'
import { pluginChecks, pluginCost } from './plugin-checks.js'
import { headChecks, policyChecks } from './policy-checks.js'
import { letters, protocolChecks } from './protocol-checks.js'
import { rewardChecks } from './reward-checks.js'
import { rewardPairs, writeRewards, writeTinyModels } from './tiny-models.js'
import { startVllm, type VllmOptions } from './vllm-engine.js'

/** Where a suite works. */
interface Place { readonly scratch: string, readonly cacheDir: string }

/** An environment with vLLM and the plugin. @returns its python */
async function installVllm (cacheDir: string): Promise<string> {
  const folder = join(cacheDir, 'conformance', 'vllm')
  const requirements = join(packageRoot, 'conformance', 'vllm', 'requirements.txt')
  const programs = await installPython(join(folder, 'venv'), requirements,
    () => { say(`installing vLLM into ${folder} (2 GB)`) }, {}, '--quiet', '--no-deps', '--no-compile')
  const python = join(programs, 'python')
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps',
    '--no-build-isolation', '--force-reinstall', join(packageRoot, 'integrations', 'vllm')])
  return python
}

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

/** The default model, its file made a folder in float32: the built-in heads inside vLLM. */
export async function vllmDefaultSuite ({ cacheDir, scratch }: Place): Promise<void> {
  const python = await installVllm(cacheDir)
  const checks = new Checks()
  const { cacheDir: models } = loadConfig()
  const { path, sha256 } = await resolveModel('smollm2-135m', { cacheDir: models })
  const folder = join(cacheDir, 'conformance', 'vllm', 'smollm2-135m')
  await installOnce(folder, sha256, () =>
    run(python, [join(packageRoot, 'conformance', 'vllm', 'export_default.py'), path, folder]))
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
        policy: `${engine.url}#${engine.name}`, policyTokenizer: path, dataDir: join(scratch, 'data-policy')
      }
      await withFairlead(remote, async far => {
        const sides = { near: local, far, model: engine.name, prompts, head: 'positive', length: 32 }
        await guidanceShift(checks, sides)
        await guidanceCost(checks, sides)
      })
    }))
  checks.end()
}
