import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../../src/package-root.js'
import { evaluationPage } from '../../../studies/evaluation-report.js'

test('models/EVALUATION.md is that of the recorded results; `node dist/studies/evaluation-report.js` writes it', () => {
  assert.equal(evaluationPage(), readFileSync(join(packageRoot, 'models/EVALUATION.md'), 'utf8'))
})
