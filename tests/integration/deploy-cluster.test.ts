/** The files of deploy/ for clusters: names, ports, paths, figures and times are those that the server has. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { loadConfig } from '../../src/config.js'
import { Metrics } from '../../src/metrics/metrics.js'
import { packageRoot } from '../../src/package-root.js'
import { environmentName, flagName, settingNames } from '../../src/settings.js'

type Json = Record<string, any>

const folder = join(packageRoot, 'deploy')
const kubernetes = join(folder, 'kubernetes')
const text = (...path: string[]): string => readFileSync(join(folder, ...path), 'utf8')
const yaml = (...path: string[]): Json => parse(text(...path)) as Json
const dockerfile = readFileSync(join(packageRoot, 'Dockerfile'), 'utf8')

/** All objects of a folder, by kind. */
function objects (name: string): ReadonlyMap<string, Json> {
  const files = readdirSync(join(kubernetes, name)).filter(file => file.endsWith('.yaml') && file !== 'settings.yaml')
  return new Map(files.flatMap(file => parseAllDocuments(text('kubernetes', name, file)))
    .map(document => document.toJS() as Json).map(object => [object['kind'] as string, object]))
}

for (const name of ['fairlead', 'vllm']) {
  test(`${name}: every object of the folder is applied, and selects the pods that there are`, () => {
    const all = objects(name)
    const { resources } = all.get('Kustomization')!
    const files = readdirSync(join(kubernetes, name))
      .filter(file => file.endsWith('.yaml') && !['settings.yaml', 'kustomization.yaml'].includes(file))
    assert.deepEqual([...resources as string[]].sort(), files.sort())
    const { spec } = (all.get('Deployment') ?? all.get('StatefulSet'))!
    const labels = spec.template.metadata.labels as Json
    assert.deepEqual(spec.selector.matchLabels, labels)
    assert.deepEqual(all.get('Service')!['spec'].selector, labels)
    assert.deepEqual(all.get('PodDisruptionBudget')!['spec'].selector.matchLabels, labels)
    assert.deepEqual(all.get('NetworkPolicy')!['spec'].podSelector.matchLabels, labels)
    const [container] = spec.template.spec.containers
    const [{ name: port }] = container.ports
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      assert.equal(container[probe].httpGet.port, port)
    }
    assert.equal(all.get('Service')!['spec'].ports[0].targetPort, port)
    const claimed = (spec.volumeClaimTemplates ?? []).map((claim: Json) => claim['metadata'])
    const volumes = [...spec.template.spec.volumes, ...claimed].map((volume: Json) => volume['name'])
    for (const { volumeMounts } of [container, ...spec.template.spec.initContainers ?? []]) {
      for (const mount of volumeMounts) assert.ok(volumes.includes(mount.name), mount.name)
    }
  })
}

const pod = objects('fairlead').get('Deployment')!['spec'].template.spec
const [container] = pod.containers

test('the pod is what the image is: port, folders, user; and its settings are settings', () => {
  assert.match(dockerfile, new RegExp(`^EXPOSE ${container.ports[0].containerPort as number}$`, 'm'))
  const mounts = (container.volumeMounts as Json[]).map(mount => mount['mountPath'] as string)
  for (const folder of /^VOLUME (.*)$/m.exec(dockerfile)![1]!.split(' ')) assert.ok(mounts.includes(folder), folder)
  assert.equal(pod.enableServiceLinks, false, 'a Service named fairlead would set FAIRLEAD_PORT')
  for (const { name } of container.env) assert.ok(settingNames.map(environmentName).includes(name), name)
  const inSecret = /FAIRLEAD_\w+/g
  for (const [name] of text('kubernetes', 'fairlead', 'deployment.yaml').matchAll(inSecret)) {
    assert.ok(settingNames.map(environmentName).includes(name), name)
  }
})

for (const path of [['fairlead'], ['production-stack']]) {
  test(`the settings of ${path[0]!} are read by the server`, () => {
    const settings = yaml('kubernetes', ...path, 'settings.yaml')
    assert.ok(['policy', 'policy-tokenizer'].every(name => name in settings))
    const home = mkdtempSync(join(tmpdir(), 'fairlead-settings-'))
    try {
      writeFileSync(join(home, 'settings.json'), JSON.stringify(settings))
      const config = loadConfig({ config: join(home, 'settings.json') }, {})
      const seconds = Number(container.lifecycle.preStop.exec.command[1])
      assert.ok(pod.terminationGracePeriodSeconds > seconds + config.drainTimeoutMs / 1000 + 5)
      const known = settingNames.map(flagName)
      assert.deepEqual(Object.keys(settings).filter(name => !known.includes(name)), [])
    } finally {
      rmSync(home, { recursive: true })
    }
  })
}

test('the engines are called by the names of their pods, one by one', () => {
  const { metadata, spec } = objects('vllm').get('StatefulSet') as { metadata: Json, spec: Json }
  const { policy } = yaml('kubernetes', 'fairlead', 'settings.yaml')
  const model = (spec['template'].spec.containers[0].args as string[])[0]!.replace('--model=', '')
  assert.deepEqual(policy, Array.from({ length: spec['replicas'] as number }, (_, index) =>
    `http://${metadata['name'] as string}-${index}.${spec['serviceName'] as string}:8000#${model}`))
  assert.equal(objects('vllm').get('Service')!['metadata'].name, spec['serviceName'])
  assert.equal((pod.initContainers[0].env as Json[]).find(one => one['name'] === 'MODEL')!['value'], model)
})

test('the autoscaler asks for a figure that the server has, by the name that the adapter gives it', async () => {
  const [{ pods }] = objects('fairlead').get('HorizontalPodAutoscaler')!['spec'].metrics
  const [rule] = yaml('kubernetes', 'prometheus-adapter.values.yaml')['rules'].custom
  assert.equal(rule.name.as, pods.metric.name)
  assert.ok(rule.seriesQuery.startsWith(`${pods.metric.name as string}{`))
  assert.match(await new Metrics('fairlead').text(null), new RegExp(`^# TYPE ${pods.metric.name as string} gauge$`, 'm'))
})

test('the compose file with vLLM calls things by the names they have', () => {
  const { services, volumes } = yaml('compose.vllm.yaml') as { services: Record<string, Json>, volumes: Json }
  for (const [name, service] of Object.entries(services)) {
    for (const other of Object.keys(service['depends_on'] ?? {})) assert.ok(other in services, `${name}: ${other}`)
    for (const mount of service['volumes'] ?? []) {
      const [source] = (mount as string).split(':')
      assert.ok(source!.startsWith('./') ? readFileSync(join(folder, source!)) : source! in volumes, `${name}: ${mount}`)
    }
  }
  const known = [...settingNames.map(environmentName), 'FAIRLEAD_POLICY', 'FAIRLEAD_POLICY_TOKENIZER']
  for (const name of Object.keys(services['fairlead']!['environment'] as Json)) assert.ok(known.includes(name), name)
  const grace = Number.parseInt(services['fairlead']!['stop_grace_period'] as string)
  assert.ok(grace > loadConfig({}, {}).drainTimeoutMs / 1000 + 5)
})

test('a tokenizer is fetched, a chat template where there is one, and what is missing is an error', async () => {
  const files: Record<string, string> = { 'tokenizer.json': '{}', 'tokenizer_config.json': '{"a": 1}' }
  const server = createServer((request, response) => {
    const name = /^\/some\/model\/resolve\/main\/(.*)$/.exec(request.url!)?.[1] ?? ''
    response.writeHead(name in files && request.headers.authorization === 'Bearer token' ? 200 : 404).end(files[name])
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const home = mkdtempSync(join(tmpdir(), 'fairlead-fetch-'))
  const run = async (): Promise<number> => {
    const child = spawn(process.execPath, [join(kubernetes, 'fairlead', 'fetch-tokenizer.mjs')], {
      env: {
        ...process.env,
        MODEL: 'some/model',
        FOLDER: join(home, 'tokenizer'),
        HF_TOKEN: 'token',
        HF_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      },
      stdio: 'ignore'
    })
    return (await once(child, 'close'))[0] as number
  }
  try {
    assert.equal(await run(), 0)
    assert.deepEqual(readdirSync(join(home, 'tokenizer')).sort(), ['tokenizer.json', 'tokenizer_config.json'])
    assert.equal(readFileSync(join(home, 'tokenizer', 'tokenizer_config.json'), 'utf8'), '{"a": 1}')
    delete files['tokenizer.json']
    assert.equal(await run(), 1)
  } finally {
    server.close()
    rmSync(home, { recursive: true })
  }
})
