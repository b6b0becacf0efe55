import assert from 'node:assert/strict'
import { test } from 'node:test'
import { environmentName, flagName, loadConfig, settingNames } from '../../src/config.js'

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
  assert.throws(() => loadConfig({}, { FAIRLEAD_FORMAT: 'q3' }), /FAIRLEAD_FORMAT must be one of i8, q8, f32; got "q3"/)
  assert.throws(() => loadConfig({}, { FAIRLEAD_PORT: '' }), /FAIRLEAD_PORT must be an integer/)
})

test('flags and environment names follow from the setting name', () => {
  assert.equal(flagName('maxSequences'), 'max-sequences')
  assert.equal(environmentName('maxSequences'), 'FAIRLEAD_MAX_SEQUENCES')
  assert.equal(new Set(settingNames.map(environmentName)).size, settingNames.length)
})
