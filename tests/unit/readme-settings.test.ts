import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readmePath } from '../../scripts/readme-tables.js'
import { Keys } from '../../src/api/keys.js'
import { Profiles } from '../../src/api/profiles.js'
import { loadConfig } from '../../src/config.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-readme-'))
after(() => { rmSync(folder, { recursive: true }) })

test('the README’s settings file and keys can be used as they are', () => {
  const [settings, keys] = [...readFileSync(readmePath, 'utf8').matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text]) => text!)
  writeFileSync(join(folder, 'settings.yaml'), settings!)
  writeFileSync(join(folder, 'keys.yaml'), keys!)
  const config = loadConfig({ config: join(folder, 'settings.yaml') }, {})
  assert.deepEqual(new Profiles(config.profiles).all.map(({ name }) => name), ['helpful-16'])
  assert.ok(new Keys({ ...config, apiKeysFile: join(folder, config.apiKeysFile) }).areNeeded)
})
