import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Keys } from '../../../src/api/plugins/keys.js'
import { Profiles } from '../../../src/api/models/profiles.js'
import { loadConfig } from '../../../src/config.js'
import { servedModelNames } from '../../../src/serving/model-names.js'
import { examples } from '../../helpers/docs.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-docs-'))
after(() => { rmSync(folder, { recursive: true }) })

test('the docs’ settings file and keys can be used as they are', () => {
  const [settings, keys] = examples('docs/operations.md', 'yaml')
  writeFileSync(join(folder, 'settings.yaml'), settings!)
  writeFileSync(join(folder, 'keys.yaml'), keys!)
  const config = loadConfig({ config: join(folder, 'settings.yaml') }, {})
  assert.deepEqual(new Profiles(config.profiles, servedModelNames(config).map(({ name }) => name)).of('smollm2-135m')
    .map(({ name }) => name), ['helpful-16'])
  assert.ok(new Keys({ ...config, apiKeysFile: join(folder, config.apiKeysFile) }).areNeeded)
})
