/** What stops the start of a server with several models. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, mock, test } from 'node:test'
import { loadConfig } from '../../src/config.js'
import { Tensor } from '../../src/runtime/tensor.js'
import { ServedModels } from '../../src/serving/served-models.js'
import { file, folder } from '../helpers/model-servers.js'
import { tinyServer } from '../helpers/tiny-server.js'

after(() => { rmSync(folder, { recursive: true }) })

test('a context that there is no memory for stops the start, whoever has it', async () => {
  const { allocate } = Tensor
  const start = (refusedLength: number): Promise<unknown> => {
    const refusing = mock.method(Tensor, 'allocate', (...[type, dims]: Parameters<typeof allocate>) => {
      if (dims.length === 4 && dims[2] === refusedLength) throw new Error('std::bad_alloc')
      return allocate.call(Tensor, type, dims)
    })
    return ServedModels.load(loadConfig({
      model: file('tiny'),
      format: 'f32',
      cacheDir: folder,
      dataDir: join(folder, 'none'),
      contextLength: '128',
      contrastModels: `expert=${file('small')}`
    }, {}), () => {}).finally(() => { refusing.mock.restore() })
  }
  await assert.rejects(start(128), { code: 'invalid_request', param: 'contextLength', message: /tiny.* 128 tokens/ })
  await assert.rejects(start(256), { code: 'invalid_request', param: null, message: /small.* 256 tokens/ })
})

test('models that cannot be served stop the start, and say which and why', async () => {
  const start = (moreModels: string): Promise<unknown> => ServedModels.load(
    loadConfig({ model: file('tiny'), cacheDir: folder, dataDir: join(folder, 'none'), moreModels }, {}), () => {}
  )
  for (const [moreModels, message] of [
    [file('small'), /^more-models: must hold models as name=path, .*small\.gguf"$/],
    [`a b=${file('small')}`, /more-models: must hold models as name=path.*got "a b=/],
    [`tiny=${file('small')}`, /more-models: tiny is what the default model is called/],
    [`a=${file('small')},a=${file('strange')}`, /more-models: a is there twice/],
    [`a=${file('nowhere')}`, /more-models: a: .*nowhere\.gguf/],
    ['a=nobody', /more-models: a: .*"nobody"/],
    [`a=${join(folder, 'judge')}`, /more-models: a: model a scores texts and cannot write them/]
  ] as const) await assert.rejects(start(moreModels), ({ message: said }: Error) => message.test(said), moreModels)
  writeFileSync(join(folder, 'wrong.yaml'), 'profiles: {x: {model: small, alignment: {reward: length}}}')
  await assert.rejects(tinyServer({ config: join(folder, 'wrong.yaml'), moreModels: `other=${file('small')}` }),
    /profiles\.x\.model must be one of tiny, other; got "small"/)
})
