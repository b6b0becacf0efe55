import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { engineConfigOf } from '../../src/cli/options.js'
import { engineConfig, loadConfig } from '../../src/config.js'
import { environmentName, flagName, settingNames, settings } from '../../src/settings.js'
import { deviceFormats } from '../../src/models/quantization/weight-format.js'

test('a flag wins over the environment, the environment over the default', () => {
  const environment = { FAIRLEAD_PORT: '9000', FAIRLEAD_MAX_SEQUENCES: '12' }
  const config = loadConfig({ port: '9001' }, environment)
  assert.equal(config.port, 9001)
  assert.equal(config.maxSequences, 12)
  assert.equal(config.host, '127.0.0.1')
  assert.ok(Object.isFrozen(config))
})

test('a setting out of range is refused with its name, rule and value', () => {
  assert.throws(() => loadConfig({ port: '70000' }, {}), /--port must be an integer from 0 to 65535; got "70000"/)
  assert.throws(() => loadConfig({}, { FAIRLEAD_FORMAT: 'q3' }),
    /FAIRLEAD_FORMAT must be one of i8, q8, q4, exact, f32, f16; got "q3"/)
  assert.throws(() => loadConfig({}, { FAIRLEAD_PORT: '' }), /FAIRLEAD_PORT must be an integer/)
})

test('what each model has by default is its part of what one alone would have', () => {
  const [one, three] = [loadConfig({}, {}), loadConfig({}, { FAIRLEAD_MORE_MODELS: 'a=x.gguf, b=y.gguf' })]
  assert.deepEqual(three.moreModels, ['a=x.gguf', 'b=y.gguf'])
  for (const name of ['kvCacheBytes', 'prefixCacheBytes'] as const) assert.equal(three[name], Math.floor(one[name] / 3))
  assert.equal(three.rewardKvCacheBytes, one.rewardKvCacheBytes)
  assert.equal(loadConfig({ kvCacheBytes: '5000000' }, { FAIRLEAD_MORE_MODELS: 'a=x.gguf' }).kvCacheBytes, 5000000)
})

test('flags and environment names follow from the setting name', () => {
  assert.equal(flagName('maxSequences'), 'max-sequences')
  assert.equal(environmentName('maxSequences'), 'FAIRLEAD_MAX_SEQUENCES')
  assert.equal(new Set(settingNames.map(environmentName)).size, settingNames.length)
})

const folder = mkdtempSync(join(tmpdir(), 'fairlead-config-'))
after(() => { rmSync(folder, { recursive: true }) })

test('a command that needs one model takes no more of a settings file', () => {
  const file = join(folder, 'more.yaml')
  writeFileSync(file, 'more-models: [a=x.gguf]\nmax-sequences: 7\n')
  const { moreModels, maxSequences, kvCacheBytes } = engineConfigOf({ config: file })
  assert.deepEqual([moreModels, maxSequences, kvCacheBytes], [[], 7, loadConfig({}, {}).kvCacheBytes])
  assert.deepEqual(loadConfig({ config: file }, {}).moreModels, ['a=x.gguf'])
})

function file (text: string): string {
  const path = join(folder, 'settings')
  writeFileSync(path, text)
  return path
}

test('the settings file, YAML or JSON, wins over defaults and loses to the rest', () => {
  for (const text of ['port: 9000\nhost: "::1"\ncors-origins: [a, b]\nprofiles: {p: {}}\n',
    '{"port": 9000, "host": "::1", "cors-origins": ["a", "b"], "profiles": {"p": {}}}']) {
    const config = loadConfig({ config: file(text) }, { FAIRLEAD_HOST: 'localhost' })
    assert.deepEqual([config.port, config.host, config.corsOrigins, config.profiles, config.format],
      [9000, 'localhost', ['a', 'b'], { p: {} }, 'i8'])
    assert.equal(loadConfig({ port: '9001' }, { FAIRLEAD_CONFIG: file(text) }).port, 9001)
  }
  assert.equal(loadConfig({ config: file('') }, {}).port, 8000)
})

/** [text of the file, what the message says] */
const refused: ReadonlyArray<readonly [string, RegExp]> = [
  ['port: "9000"', /settings: port must be an integer from 0 to 65535; got "9000"/],
  ['port: 70000', /port must be an integer from 0 to 65535; got 70000/],
  ['prot: 1', /prot is not a setting; did you mean port\?/],
  ['maxSequences: 1', /maxSequences is not a setting; did you mean max-sequences\?/],
  ['config: other', /config is not a setting/],
  ['format: q3', /format must be one of i8, q8, q4, exact, f32, f16; got "q3"/],
  ['host: 5', /host must be a text; got 5/],
  ['cors-origins: a', /cors-origins must be a list of texts; got "a"/],
  ['- 1', /must hold settings by name/],
  ['a: [', /settings cannot be read/],
  ['a: &x [1]\nb: *x', /cannot be read/]
]

for (const [text, message] of refused) {
  test(`the settings file ${JSON.stringify(text)} is refused`,
    () => { assert.throws(() => loadConfig({ config: file(text) }, {}), message) })
}

test('lists are given by commas', () => {
  assert.deepEqual(loadConfig({ corsOrigins: 'https://a, https://b' }, {}).corsOrigins, ['https://a', 'https://b'])
  assert.deepEqual(loadConfig({}, { FAIRLEAD_API_KEYS: '' }).apiKeys, [])
  assert.throws(() => loadConfig({ corsOrigins: 'a,,b' }, {}), /--cors-origins must be a list of texts/)
})

test('a program’s settings are values; they win over the environment, which wins over the file', () => {
  const config = engineConfig({ threads: 3, config: file('format: q8\ncontext-length: 512\nport: 9000\n') },
    { FAIRLEAD_THREADS: '2', FAIRLEAD_FORMAT: 'f32' })
  assert.deepEqual([config.threads, config.format, config.contextLength, config.model], [3, 'f32', 512, 'smollm2-135m'])
  assert.throws(() => engineConfig({ threads: '3' } as object, {}), /threads must be an integer from 1 to 256; got "3"/)
  assert.throws(() => engineConfig({ port: 1 } as object, {}), /port is not a setting; there are config, model,/)
})

test('the weight formats that can be asked for are those that there are', () => {
  assert.deepEqual(settings.format.choices, deviceFormats)
})
