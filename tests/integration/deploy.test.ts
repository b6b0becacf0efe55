/** The files in deploy/: they fit each other, and every figure on the dashboard is one that the server has. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { environmentName, settingNames } from '../../src/settings.js'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyCheckpoint } from '../helpers/tiny-checkpoint.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

type Json = Record<string, any>

const folder = join(packageRoot, 'deploy')
const yaml = (name: string): Json => parse(readFileSync(join(folder, name), 'utf8')) as Json
const dashboard = JSON.parse(readFileSync(join(folder, 'grafana/dashboards/fairlead.json'), 'utf8')) as Json
const dockerfile = readFileSync(join(packageRoot, 'Dockerfile'), 'utf8')

let server: TinyServer
const rewardsDir = mkdtempSync(join(tmpdir(), 'fairlead-deploy-'))
before(async () => {
  // A reward that brings a model.
  writeTinyCheckpoint(join(rewardsDir, 'judge'), { family: 'llama', head: 'score' })
  const normalization = { mean: 0, std: 1, pool: 'none' }
  writeFileSync(join(rewardsDir, 'judge.json'), JSON.stringify({
    name: 'judge',
    kind: 'classifier',
    description: 'x',
    model: 'judge',
    format: 'f32',
    members: { outcome: { normalization } }
  }))
  server = await tinyServer({ rewardsDir })
})
after(async () => {
  await server.close()
  rmSync(rewardsDir, { recursive: true })
})

/**
 * Names of the series that a scrape has, by its `# TYPE` lines: a counter that nothing has been counted by yet is one
 * of them.
 */
async function series (): Promise<Set<string>> {
  const text = await (await fetch(`${server.address}/metrics`)).text()
  return new Set([...text.matchAll(/^# TYPE (\S+) (\S+)/gm)].flatMap(([, name, type]) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map(end => name! + end) : [name!]))
}

const expressions = (dashboard['panels'] as Json[]).flatMap(panel =>
  (panel['targets'] as Json[] | undefined ?? []).map(target => target['expr'] as string))

test('every figure on the dashboard is in /metrics, with the labels it is asked for by', async () => {
  await server.post('/v1/chat/completions', {
    model: 'tiny',
    messages: [{ role: 'user', content: 'a' }],
    max_tokens: 4,
    alignment: { reward: 'judge', num_candidates: 2 }
  })
  await server.post('/v1/chat/completions',
    { model: 'tiny', messages: [{ role: 'user', content: 'a' }], max_tokens: 5000 })
  const known = await series()
  const text = await (await fetch(`${server.address}/metrics`)).text()
  assert.ok(expressions.length > 20)
  for (const expression of expressions) {
    const names = [...expression.matchAll(/\b((?:fairlead|http|process|nodejs)_[a-z0-9_]*)/g)].map(([, name]) => name!)
    assert.ok(names.length > 0, expression)
    for (const name of names) assert.ok(known.has(name), `${name} of ${expression} is not in /metrics`)
    for (const [, label, name] of expression.matchAll(/by \((\w+)\) \(rate\((\w+)/g)) {
      assert.match(text, new RegExp(`^${name}\\{[^}]*\\b${label}="`, 'm'), expression)
    }
  }
})

test('the model of a reward is in /metrics with its bytes and tokens', async () => {
  await server.post('/v1/rewards/score', { reward: 'judge', input: [{ prompt: 'a', answer: 'b' }] })
  const text = await (await fetch(`${server.address}/metrics`)).text()
  const figure = (name: string, label: string): number =>
    Number(new RegExp(`^fairlead_${name}\\{[^}]*${label}[^}]*\\} (\\S+)`, 'm').exec(text)?.[1])
  assert.match(text, /^fairlead_reward_models 1$/m)
  for (const [name, label] of [
    ['reward_model_bytes', 'reward_model="judge",of="weights"'], ['reward_model_bytes', 'reward_model="judge",of="kv"'],
    ['reward_model_tokens_total', 'reward_model="judge"'], ['reward_latency_seconds_count', 'reward="judge"'],
    ['reward_latency_seconds_sum', 'reward="judge"']
  ] as const) assert.ok(figure(name, label) > 0, name)
})

test('own figures that a dashboard would miss are on it', async () => {
  const shown = expressions.join('\n')
  const own = [...await series()].filter(name => name.startsWith('fairlead_') && !/_(sum|count)$/.test(name))
  // Sizes that say little over time.
  const left = ['fairlead_request_prompt_tokens_bucket', 'fairlead_request_params_n_bucket',
    'fairlead_request_prefill_time_seconds_bucket', 'fairlead_request_decode_time_seconds_bucket',
    'fairlead_request_success_total', 'fairlead_reward_models']
  assert.deepEqual(own.filter(name => !shown.includes(name)).filter(name => !left.includes(name)), [])
})

test('the compose file calls things by the names they have', () => {
  const { services, volumes } = yaml('compose.yaml') as { services: Record<string, Json>, volumes: Json }
  const mounts =
    Object.values(services).flatMap(service => service['volumes'] as string[]).map(mount => mount.split(':')[0]!)
  for (const mount of mounts) {
    assert.ok(mount.startsWith('.') ? existsSync(join(folder, mount)) : mount in volumes, mount)
  }
  const { fairlead } = services as { fairlead: Json }
  for (const [port] of (fairlead['ports'] as string[]).map(one => one.split(':').slice(-1))) {
    assert.match(dockerfile, new RegExp(`^EXPOSE ${port}$`, 'm'))
  }
  for (const mount of fairlead['volumes'] as string[]) {
    assert.match(dockerfile, new RegExp(`^VOLUME .*${mount.split(':')[1]}\\b`, 'm'))
  }
  for (const name of Object.keys(fairlead['environment'] as Json)) {
    assert.ok(settingNames.map(environmentName).includes(name), name)
  }
  const [target] = yaml('prometheus.yaml')['scrape_configs'][0].static_configs[0].targets as string[]
  const [host, port] = target!.split(':')
  assert.ok(host! in services)
  assert.ok(dockerfile.includes(`EXPOSE ${port}`))
  assert.equal(fairlead['environment'].FAIRLEAD_ALLOWED_HOSTS, host)
  assert.match(yaml('grafana/provisioning/datasources/prometheus.yaml')['datasources'][0].url,
    /^http:\/\/prometheus:9090$/)
  assert.ok((services['grafana']!['volumes'] as string[]).some(mount =>
    mount.split(':')[1] === yaml('grafana/provisioning/dashboards/fairlead.yaml')['providers'][0].options.path))
})
