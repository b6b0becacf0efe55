import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Metadata } from '../../../../scripts/gguf-writer.js'
import { RequestError } from '../../../../src/errors.js'
import type { Variant } from '../../../../src/models/formats/adapted-model.js'
import { loadModel } from '../../../../src/models/model.js'
import { openCheckpoint } from '../../../../src/models/formats/checkpoint.js'
import { packageRoot } from '../../../../src/package-root.js'
import { uniform } from '../../../../src/statistics/random.js'
import { mutateBytes, mutateJson } from '../../../helpers/hostile-files.js'
import { tinyGguf, tinyMetadata, writeTinyGguf } from '../../../helpers/tiny-gguf.js'
import { safetensors, tinyCheckpoints, writeTinyCheckpoint } from '../../../helpers/tiny-checkpoint.js'

const directory = mkdtempSync(join(tmpdir(), 'fairlead-hostile-'))
after(() => { rmSync(directory, { recursive: true }) })

/** Opens a model and reads every tensor of it. @returns what it was refused with; null where it was read */
async function refusal (path: string, variant?: Variant): Promise<RequestError | null> {
  try {
    const { file, tokenizer } = await openCheckpoint(path, undefined, variant)
    try {
      tokenizer.encode('hello <|im_end|> world')
      for (const name of file.tensors.keys()) await file.read(name)
    } finally {
      await file.close()
    }
    return null
  } catch (error) {
    if (error instanceof RequestError) return error
    throw error
  }
}

/** Tries mutations. @param write writes one and says what it is @param paths any of which an error must name */
async function tryAll (
  count: number, seed: number, write: (random: () => number) => { path: string, variant?: Variant }, names: RegExp
): Promise<number> {
  let refused = 0
  for (let index = 0; index < count; index++) {
    const { path, variant } = write(uniform(seed * 10_000 + index))
    const error = await refusal(path, variant).catch((cause: unknown) => {
      throw new Error(`mutation ${index} of seed ${seed} is not refused in words: ${String(cause)}`, { cause })
    })
    if (!error) continue
    refused++
    assert.match(error.message, names, `mutation ${index} of seed ${seed}`)
    assert.ok(error.message.length < 2000, `mutation ${index} of seed ${seed}: ${error.message.length} characters`)
  }
  return refused
}

test('a GGUF file whose header was changed anywhere is read, or refused in words', async () => {
  const bytes = tinyGguf({ layers: 1, feedForwardSize: 64 })
  const path = join(directory, 'mutated.gguf')
  const header = bytes.indexOf('blk.0.ffn_down.weight') + 100
  const refused = await tryAll(200, 1, random => {
    writeFileSync(path, mutateBytes(bytes, header, random))
    return { path }
  }, /mutated\.gguf/)
  assert.ok(refused > 60, String(refused))
})

test('a safetensors file whose header was changed anywhere is read, or refused in words', async () => {
  const folder = join(directory, 'changed-weights')
  writeTinyCheckpoint(folder, { family: 'qwen2', dtype: 'BF16' })
  const path = join(folder, 'model.safetensors')
  const bytes = readFileSync(path)
  const header = 8 + Number(bytes.readBigUInt64LE(0))
  const text = JSON.parse(bytes.subarray(8, header).toString()) as unknown
  const refused = await tryAll(200, 2, random => {
    if (random() < 0.5) writeFileSync(path, mutateBytes(bytes, header, random))
    else {
      const changed = Buffer.from(mutateJson(text, random))
      const length = Buffer.alloc(8)
      length.writeBigUInt64LE(BigInt(changed.length))
      writeFileSync(path, Buffer.concat([length, changed, bytes.subarray(header)]))
    }
    return { path: folder }
  }, /changed-weights/)
  assert.ok(refused > 120, String(refused))
})

test('JSON files of a checkpoint with one odd value are read, or refused in words', async () => {
  const folder = join(directory, 'changed-json')
  writeTinyCheckpoint(folder, { family: 'llama', head: 'untied', shards: 2 })
  writeFileSync(join(folder, 'generation_config.json'), '{"eos_token_id": [2]}')
  const files = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json',
    'model.safetensors.index.json']
  const documents = files.map(name => [name, readFileSync(join(folder, name), 'utf8')] as const)
  let last: readonly [string, string] = documents[0]!
  const refused = await tryAll(250, 3, random => {
    writeFileSync(join(folder, last[0]), last[1])
    last = documents[Math.floor(random() * documents.length)]!
    writeFileSync(join(folder, last[0]), mutateJson(JSON.parse(last[1]), random))
    return { path: folder }
  }, /changed-json/)
  assert.ok(refused > 100, String(refused))
})

test('an adapter with one odd value is read, or refused in words', async () => {
  const base = join(directory, 'base')
  writeTinyCheckpoint(base, tinyCheckpoints['llama']!)
  const [source, folder] = [join(packageRoot, 'tests/fixtures/tiny-adapter'), join(directory, 'changed-adapter')]
  mkdirSync(folder)
  cpSync(source, folder, { recursive: true })
  const config = JSON.parse(readFileSync(join(source, 'adapter_config.json'), 'utf8')) as unknown
  const bytes = readFileSync(join(source, 'adapter_model.safetensors'))
  const refused = await tryAll(150, 4, random => {
    const changesWeights = random() < 0.4
    writeFileSync(join(folder, 'adapter_config.json'),
      changesWeights ? JSON.stringify(config) : mutateJson(config, random))
    writeFileSync(join(folder, 'adapter_model.safetensors'), changesWeights
      ? mutateBytes(bytes, 8 + Number(bytes.readBigUInt64LE(0)), random)
      : bytes)
    return { path: base, variant: { layers: 1, adapter: folder } }
  }, /changed-adapter|base/)
  assert.ok(refused > 40 && refused < 150, String(refused))
})

/** Sizes of a decoder that no file has, and what says so. */
const hugeSizes: ReadonlyArray<readonly [key: string, value: Metadata, reason: RegExp]> = [
  ['block_count', 4_000_000_000, /metadata llama\.block_count must be an integer from 1 to 16777216; got 4000000000/],
  ['block_count', 16_000_000, /claims 16000000 layers, but has 20 tensors/],
  ['block_count', 0, /llama\.block_count must be an integer from 1/],
  ['block_count', { float: 1.5 }, /llama\.block_count must be an integer .*; got 1\.5/],
  ['context_length', 4_000_000_000, /llama\.context_length must be an integer from 1 to 16777216; got 4000000000/],
  ['embedding_length', 4_000_000_000, /llama\.embedding_length must be an integer/],
  ['attention.head_count', 4_000_000_000, /llama\.attention\.head_count must be an integer/],
  ['attention.key_length', 4_294_967_288, /llama\.attention\.key_length must be an integer/],
  ['feed_forward_length', 'wide', /llama\.feed_forward_length must be an integer .*; got "wide"/],
  ['attention.layer_norm_rms_epsilon', { float: Infinity }, /layer_norm_rms_epsilon must be a positive number/],
  ['rope.freq_base', { float: NaN }, /rope\.freq_base must be a positive number/]
]

test('sizes in a GGUF file that no decoder has are refused by name before anything is made of them', async () => {
  const path = join(directory, 'huge.gguf')
  for (const [key, value, reason] of hugeSizes) {
    writeTinyGguf(path, { metadata: { [`llama.${key}`]: value } })
    const error = await refusal(path)
    assert.equal(error?.code, 'invalid_request', key)
    assert.match(error?.message ?? '', reason)
    assert.match(error?.message ?? '', /huge\.gguf/)
  }
})

test('a context that is too long to be made ready is refused with the setting that shortens it', async () => {
  const path = join(directory, 'long.gguf')
  writeTinyGguf(path, { contextLength: 1 << 24 })
  const options = { model: path, format: 'f32', threads: 1, cacheDir: directory } as const
  await assert.rejects(loadModel({ ...options, contextLength: 0 }),
    { code: 'invalid_request', param: 'contextLength', message: /16777216 tokens .* set context-length/ })
  const model = await loadModel({ ...options, contextLength: 64 })
  assert.equal(model.contextLength, 64)
  model.dispose()
})

test('sizes in a config.json that no decoder has are refused by name', async () => {
  const folder = join(directory, 'huge-config')
  for (const field of ['num_hidden_layers', 'hidden_size', 'vocab_size', 'max_position_embeddings', 'head_dim',
    'num_attention_heads', 'num_key_value_heads', 'intermediate_size']) {
    for (const value of [4e9, 1e300, -1, 1.5, '64', [64]]) {
      writeTinyCheckpoint(folder, { family: 'qwen3', config: { [field]: value } })
      const error = await refusal(folder)
      assert.match(error?.message ?? '', new RegExp(`huge-config: config\\.json: ${field} must be an integer`))
    }
  }
})

test('metadata of another type than it should be is read, or refused in words', async () => {
  const path = join(directory, 'odd.gguf')
  const sizes = { layers: 1, hiddenSize: 64, queryHeads: 4, kvHeads: 2, feedForwardSize: 64, contextLength: 512 }
  const values: readonly Metadata[] = ['', 'x', 0, 1, 4_294_967_295, { float: NaN }, { float: -Infinity }, true, [],
    ['a'], [1], new Array<string>(500).fill('a')]
  for (const key of Object.keys(tinyMetadata('llama', sizes))) {
    for (const value of values) {
      // The writer makes as many rows as there are tokens.
      if (key === 'tokenizer.ggml.tokens' && !(Array.isArray(value) && value.length > 0)) continue
      writeTinyGguf(path, { ...sizes, metadata: { [key]: value } })
      const error = await refusal(path)
      if (error) assert.match(error.message, /odd\.gguf/)
    }
  }
})

/** A safetensors file with a header as it is given, and so many bytes of data. */
function rawSafetensors (header: string, dataBytes: number): Buffer {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)])
}

test('tensors that overlap, leave holes or have a name twice are refused', async () => {
  const folder = join(directory, 'overlaps')
  writeTinyCheckpoint(folder, { family: 'llama' })
  const tensor = (from: number, to: number): string => `{"dtype":"F32","shape":[4],"data_offsets":[${from},${to}]}`
  const cases: ReadonlyArray<readonly [header: string, dataBytes: number, reason: RegExp]> = [
    [`{"a":${tensor(0, 16)},"b":${tensor(8, 24)}}`, 24, /tensors a and b overlap/],
    [`{"a":${tensor(0, 16)},"b":${tensor(0, 16)}}`, 16, /tensors a and b overlap/],
    [`{"a":${tensor(0, 16)},"a":${tensor(16, 32)}}`, 32, /16 of 32 bytes/],
    [`{"a":${tensor(0, 16)},"b":${tensor(24, 40)}}`, 40, /32 of 40 bytes/],
    ['{"a":{"dtype":"F32","shape":[4503599627370496,4503599627370496],"data_offsets":[0,16]}}', 16, /tensor a of shape/],
    [`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 0, /nested more than 64 levels/],
    [`{"a":${tensor(0, 16)}}`, 8, /ends at byte/]
  ]
  for (const [header, dataBytes, reason] of cases) {
    writeFileSync(join(folder, 'model.safetensors'), rawSafetensors(header, dataBytes))
    assert.match((await refusal(folder))?.message ?? '', reason)
  }
  const data = Buffer.alloc(16)
  const apart = safetensors(['a', 'b'].map(name => ({ name, shape: [4], dtype: 'F32', data })))
  writeFileSync(join(folder, 'model.safetensors'), apart)
  assert.match((await refusal(folder))?.message ?? '', /must have shape/, 'a whole file gets as far as the decoder')
})

test('what is no file, lies elsewhere or goes in a circle is refused, and nobody waits for it', async () => {
  const folder = join(directory, 'no-file')
  const cases: ReadonlyArray<readonly [name: string, put: (path: string) => void, reason: RegExp]> = [
    ['model.safetensors', path => { symlinkSync('/dev/zero', path) }, /not a regular file/],
    ['model.safetensors', path => { symlinkSync(path, path) }, /ELOOP/],
    ['config.json', path => { symlinkSync('/dev/zero', path) }, /cannot read config\.json: it is not a regular file/],
    ['config.json', path => { symlinkSync(path, path) }, /ELOOP/],
    ['tokenizer.json', path => { mkdirSync(path) }, /cannot read tokenizer\.json: it is not a regular file/],
    ['chat_template.jinja', path => { symlinkSync('/dev/zero', path) }, /not a regular file/],
    ['config.json', path => { writeFileSync(path, Buffer.from([0x7B, 0xF1, 0x7D])) }, /config\.json:1: must be UTF-8/],
    ...['../base/model.safetensors', '/etc/passwd.safetensors', 'a/b.safetensors', '', '..', 'model.bin', 7].map(name =>
      ['model.safetensors.index.json', (path: string) => {
        writeFileSync(path, JSON.stringify({ weight_map: { a: name } }))
      }, /index\.json must have a weight_map/] as const)
  ]
  for (const [name, put, reason] of cases) {
    rmSync(folder, { recursive: true, force: true })
    writeTinyCheckpoint(folder, { family: 'llama' })
    rmSync(join(folder, name), { force: true })
    put(join(folder, name))
    assert.match((await refusal(folder))?.message ?? '', reason, name)
  }
})
