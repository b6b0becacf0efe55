import assert from 'node:assert/strict'
import { test } from 'node:test'
import { servedModelNames } from '../../../src/serving/model-names.js'

test('the default model has its own name and comes first; others have those they are given', () => {
  assert.deepEqual(servedModelNames({
    model: '/models/tiny.gguf', policy: [], moreModels: ['a=/models/a=b.gguf', 'b-2=smollm2-135m']
  }), [
    { name: 'tiny', model: '/models/tiny.gguf', remote: null },
    { name: 'a', model: '/models/a=b.gguf', remote: null },
    { name: 'b-2', model: 'smollm2-135m', remote: null }
  ])
  assert.deepEqual(servedModelNames({ model: 'smollm2-135m', policy: [], moreModels: [] }),
    [{ name: 'smollm2-135m', model: 'smollm2-135m', remote: null }])
})

test('names that are none, or are there twice, are refused with the setting and the entry', () => {
  const refused = (moreModels: string[], message: RegExp): void => {
    assert.throws(() => servedModelNames({ model: 'smollm2-135m', policy: [], moreModels }), message)
  }
  refused(['x.gguf'], /more-models: must hold models as name=path, .*; got "x\.gguf"/)
  refused(['a:b=x.gguf'], /more-models: must hold models as name=path, .*; got "a:b=x\.gguf"/)
  refused(['a=x.gguf', 'a=y.gguf'], /more-models: a is there twice/)
  refused(['smollm2-135m=x.gguf'],
    /more-models: smollm2-135m is what the default model is called; another must have another name/)
})
