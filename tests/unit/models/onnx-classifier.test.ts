import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadOnnxClassifier } from '../../../src/models/onnx-classifier.js'
import { packageRoot } from '../../../src/package-root.js'

const fixture = join(packageRoot, 'tests', 'fixtures', 'tiny-bert')

test('a classifier with files that cannot be is refused by name, and in bounded memory', async () => {
  const cases: ReadonlyArray<readonly [name: string, put: (path: string) => void, reason: RegExp]> = [
    ['model.onnx', path => { symlinkSync('/dev/zero', path) }, /model\.onnx: cannot read it: it is not a regular file/],
    ['model.onnx', path => { writeFileSync(path, 'no graph') }, /model\.onnx: cannot read its graph/],
    ['config.json', path => { writeFileSync(path, '{"num_labels": 4000000000}') },
      /number of labels must be from 1 to 65536.*got 4000000000/],
    ['config.json', path => { writeFileSync(path, '['.repeat(100_000) + ']'.repeat(100_000)) }, /config\.json must hold/],
    ['tokenizer.json', path => {
      const json = JSON.parse(readFileSync(join(fixture, 'tokenizer.json'), 'utf8')) as object
      writeFileSync(path, JSON.stringify({ ...json, post_processor: { type: 'TemplateProcessing', single: ['_'] } }))
    }, /its files are damaged, or of a kind that is not known/]
  ]
  for (const [name, put, reason] of cases) {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-onnx-'))
    try {
      cpSync(fixture, folder, { recursive: true })
      rmSync(join(folder, name))
      put(join(folder, name))
      await assert.rejects(loadOnnxClassifier(folder, { threads: 1, inTurn: run => run() }),
        { code: 'invalid_request', param: 'model', message: reason })
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
})
