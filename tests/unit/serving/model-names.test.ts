import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAddress, servedModelNames } from '../../../src/serving/model-names.js'

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

test('a policy elsewhere is the default model, under the engine’s name of it', () => {
  const names = (policy: string[], model = 'smollm2-135m', moreModels: string[] = []) =>
    servedModelNames({ model, policy, moreModels })
  assert.deepEqual(names(['http://a:8000/v1/', 'http://b:8000#org/m=1']), [{
    name: 'org/m=1',
    model: 'http://a:8000',
    remote: { urls: ['http://a:8000', 'http://b:8000'], model: 'org/m=1' }
  }])
  assert.deepEqual(names(['https://a/base'], 'smollm2-135m', ['x=http://b#m'])
    .map(({ name, remote }) => [name, remote?.urls, remote?.model]),
  [['policy', ['https://a/base'], null], ['x', ['http://b'], 'm']])
  assert.throws(() => names(['http://a:8000'], 'x.gguf'), /policy: it runs the default model in place of --model/)
})

test('addresses that are none are refused without telling what may be a secret', () => {
  for (const [entries, message] of [
    [['a:8000'], /policy: must be a URL/], [['ftp://a'], /must be a URL/], [['http://u:secret@a'], /must be a URL/],
    [['http://a?key=secret'], /must be a URL/], [['http://a#x', 'http://b#y'], /one model; got x and y/],
    [['http://a', 'http://a/v1'], /http:\/\/a is there twice/]
  ] as const) {
    assert.throws(() => readAddress('policy', entries), error =>
      message.test(String(error)) && !String(error).includes('secret'))
  }
})
