/**
 * Tiny random checkpoints of every family against what transformers computes with them; damaged ones; and a served one.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { loadConfig } from '../../src/config.js'
import { Engine } from '../../src/engine/engine.js'
import { RequestError } from '../../src/errors.js'
import { loadServedModel } from '../../src/serving/served-models.js'
import { openCheckpoint } from '../../src/models/formats/checkpoint.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { weightFormats, type WeightFormat } from '../../src/models/quantization/weight-format.js'
import { packageRoot } from '../../src/package-root.js'
import type { Metadata } from '../../scripts/gguf-writer.js'
import { asGguf } from '../helpers/checkpoint-as-gguf.js'
import { closedAfter } from '../helpers/closed-after.js'
import {
  safetensors, tinyCheckpoints, tinyTokenizerJson, writeTinyCheckpoint, type TinyCheckpointOptions
} from '../helpers/tiny-checkpoint.js'
import { tinyServer } from '../helpers/tiny-server.js'

/** Written by scripts/expected-families.py. */
const fixture = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/expected-families.json'), 'utf8')) as {
  text: string,
  ids: number[],
  tokens: number[],
  checkpoints: Record<string, { logits?: number[][], scores?: number[][] }>
}
const folder = mkdtempSync(join(tmpdir(), 'fairlead-families-'))
after(() => { rmSync(folder, { recursive: true }) })
for (const [name, options] of Object.entries(tinyCheckpoints)) writeTinyCheckpoint(join(folder, name), options)

/** A model that is given back when the test ends. @param name of a folder, or the path of a file */
async function load (t: TestContext, name: string, format: WeightFormat = 'f32'): Promise<LoadedModel> {
  const model = resolve(folder, name)
  return closedAfter(t, await loadModel({ model, format, threads: 1, cacheDir: folder, contextLength: 0 }))
}

/** An engine that is closed when the test ends. */
function engineOf (t: TestContext, model: LoadedModel, prefillTokensPerStep: number): Engine {
  const room = { contextLength: 512, maxSequences: 32, kvCacheBytes: 2 ** 26, prefixCacheBytes: 0 }
  return closedAfter(t, new Engine(model, { ...room, prefillTokensPerStep }))
}

/**
 * What a model says after every position: all but the last few read in chunks cut at every place, the rest one by one.
 */
async function outputs (t: TestContext, model: LoadedModel, alone: number): Promise<number[][]> {
  const { tokens } = fixture
  const engine = engineOf(t, model, 7)
  const rows: number[][] = []
  const sequence = engine.open(tokens.slice(0, -alone),
    { onPosition: (position, { logits, logNormalizer }) => { rows[position] = [logNormalizer, ...logits] } })
  await sequence.output()
  for (const token of tokens.slice(-alone)) {
    sequence.append(token)
    const { distribution: { logits, logNormalizer } } = await sequence.output()
    rows.push([logNormalizer, ...logits])
  }
  return rows
}

function largestDifference (given: readonly number[][], expected: readonly number[][]): number {
  assert.deepEqual([given.length, given[0]!.length], [expected.length, expected[0]!.length])
  return Math.max(...expected.map((row, index) =>
    Math.max(...row.map((value, column) => Math.abs(value - given[index]![column]!)))))
}

for (const [name, { logits, scores }] of Object.entries(fixture.checkpoints)) {
  test(`${name}: transformers' ${logits ? 'logits' : 'scores'} after every position, in chunks and ` +
    'one by one', async t => {
    const rows = await outputs(t, await load(t, name), 9)
    const shown = logits
      ? rows.map(([normalizer, ...values]) => [normalizer!, ...fixture.ids.map(id => values[id]!)])
      : rows.map(row => row.slice(1))
    const difference = largestDifference(shown, (logits ?? scores)!)
    assert.ok(difference <= 1e-4, `the largest difference is ${difference}`)
  })
}

for (const name of ['llama', 'qwen2', 'qwen3', 'llama-score', 'qwen3-score']) {
  test(`${name} in a GGUF file computes the same`, async t => {
    const [given, expected] = [await load(t, await asGguf(join(folder, name))), await load(t, name)]
    const rows = await outputs(t, given, 3)
    const difference = largestDifference(rows, await outputs(t, expected, 3))
    // Llama's queries and keys are rotated by another kernel.
    assert.ok(difference <= (name.startsWith('llama') ? 1e-5 : 0), `the largest difference is ${difference}`)
  })
}

test('a language model whose file has another head than its embedding computes with that head, whatever its ' +
  'configuration says, and with one that is the same as without', async t => {
  const logitsOf = async (name: string, options: TinyCheckpointOptions): Promise<number[][]> => {
    writeTinyCheckpoint(join(folder, name), options)
    return outputs(t, await load(t, name), 1)
  }
  const untied = await logitsOf('untied', { family: 'llama', head: 'untied' })
  const claimed = await logitsOf('claimed', { family: 'llama', head: 'untied', config: { tie_word_embeddings: true } })
  assert.deepEqual(claimed, untied)
  assert.notDeepEqual(untied, await logitsOf('tied', { family: 'llama' }))
})

test('rotary scaling by a GGUF file’s keys is that of a checkpoint with the same', async t => {
  const scalings: ReadonlyArray<readonly [keys: Readonly<Record<string, Metadata>>, rope: object | null]> = [
    [{ factor: { float: 4 } }, { type: 'linear', factor: 4 }],
    [{ type: 'linear', factor: { float: 4 }, finetuned: true }, { type: 'linear', factor: 4 }],
    [{ type: 'none', factor: { float: 4 } }, null],
    [{ type: 'yarn', factor: { float: 4 }, original_context_length: 64 },
      { type: 'yarn', factor: 4, original_max_position_embeddings: 64 }],
    [{ type: 'yarn', factor: { float: 4 }, attn_factor: { float: 0.5 }, yarn_beta_fast: { float: 16 } },
      { type: 'yarn', factor: 4, attention_factor: (0.1 * Math.log(4) + 1) / 2, beta_fast: 16 }]
  ]
  for (const [index, [keys, rope]] of scalings.entries()) {
    for (const family of ['llama', 'qwen2'] as const) {
      const [plain, scaled] = [join(folder, `plain-${family}-${index}`), join(folder, `scaled-${family}-${index}`)]
      writeTinyCheckpoint(plain, { family })
      writeTinyCheckpoint(scaled, { family, config: { rope_scaling: rope } })
      const file = await asGguf(plain, Object.fromEntries(Object.entries(keys).map(([key, value]) =>
        [`${family}.rope.scaling.${key}`, value])))
      const expected = await outputs(t, await load(t, scaled), 3)
      const difference = largestDifference(await outputs(t, await load(t, file), 3), expected)
      assert.ok(difference <= 1e-5, `${JSON.stringify(keys)} of ${family}: ${difference}`)
    }
  }
  const old = await asGguf(join(folder, 'plain-llama-0'), { 'llama.rope.scale_linear': { float: 4 } })
  assert.ok(largestDifference(await outputs(t, await load(t, old), 3),
    await outputs(t, await load(t, 'scaled-llama-0'), 3)) <= 1e-5)
})

test('behind a shared prompt, biases and norms of heads compute the same', async t => {
  for (const name of ['qwen2', 'qwen3']) {
    const engine = engineOf(t, await load(t, name), 256)
    const prompt = Array.from({ length: 260 }, (_, index) => 3 + index * 37 % 256)
    const [shared, apart] = [engine.open(prompt, { fanOut: 16 }), engine.open(prompt)]
    assert.ok(engine.sharesPrompt(16, prompt.length))
    await Promise.all([shared.output(), apart.output()])
    for (const token of [7, 70, 170]) {
      shared.append(token)
      apart.append(token)
      const [one, other] = await Promise.all([shared.output(), apart.output()])
      const difference =
        Math.max(...one.distribution.logits.map((logit, id) => Math.abs(logit - other.distribution.logits[id]!)))
      assert.ok(difference <= 1e-4, `${name}: ${difference}`)
    }
  }
})

test('the tokenizer.json gives transformers’ tokens, and control tokens come from templates only', async () => {
  const { file, tokenizer, config } = await openCheckpoint(join(folder, 'qwen3'))
  await file.close()
  assert.deepEqual(tokenizer.encode(fixture.text), fixture.tokens.slice(1, -1))
  assert.equal(tokenizer.decode(tokenizer.encode(fixture.text)), fixture.text)
  assert.deepEqual(tokenizer.encode('<|im_end|>').filter(id => id < 3), [])
  assert.deepEqual(tokenizer.encodeTemplate([{ text: '<|im_end|>a', trusted: true }])[0], 2)
  assert.deepEqual([tokenizer.endTokens, tokenizer.vocabularySize], [[2, 0], config.vocabularySize])
})

test('every format computes about what float32 does, biases, norms and smoothed values included', async t => {
  for (const name of ['qwen2', 'qwen3', 'qwen2-process']) {
    const { logits, scores } = fixture.checkpoints[name]!
    for (const format of weightFormats) {
      const rows = await outputs(t, await load(t, name, format), 1)
      const expected = (logits ?? scores)!
      const shown = logits
        ? rows.map(([normalizer, ...values]) => [normalizer!, ...fixture.ids.map(id => values[id]!)])
        : rows.map(row => row.slice(1))
      const spread = Math.sqrt(expected.flat().reduce((sum, value) => sum + value ** 2, 0) / expected.flat().length)
      const error = Math.sqrt(expected.flatMap((row, index) => row.map((value, column) =>
        (value - shown[index]![column]!) ** 2)).reduce((sum, value) => sum + value, 0) / expected.flat().length)
      assert.ok(error <= (format === 'q4' ? 0.3 : 0.1) * spread,
        `${name} in ${format}: root mean square ${error} of ${spread}`)
    }
  }
})

test('a checkpoint that is damaged, or computes what the graph does not, is refused with its file and ' +
  'the reason', async () => {
  let count = 0
  const broken = async (
    options: Partial<TinyCheckpointOptions>, reason: RegExp, damage: (path: string) => void = () => {}
  ): Promise<void> => {
    const path = join(folder, `broken-${count++}`)
    writeTinyCheckpoint(path, { family: 'llama', ...options })
    damage(path)
    await assert.rejects(loadModel({ model: path, format: 'f32', threads: 1, cacheDir: folder, contextLength: 0 }), (
      error: unknown
    ) =>
      error instanceof RequestError && error.message.includes(path) && reason.test(error.message), String(reason))
  }
  await broken({ config: { model_type: 'gpt2' } },
    /model_type "gpt2" is not supported; supported are llama, qwen2, qwen3/)
  await broken({ config: { hidden_act: 'gelu' } }, /hidden_act = "gelu" is not supported/)
  await broken({ config: { attention_bias: true } }, /attention_bias = true is not supported for llama/)
  await broken({ config: { rope_scaling: { rope_type: 'longrope', factor: 4 } } },
    /rotary scaling "longrope" is not supported; supported are default, linear, dynamic, yarn, llama3/)
  await broken({ config: { rope_scaling: { rope_type: 'linear' } } },
    /factor of the rotary scaling "linear" must be a positive number; got undefined/)
  await broken({ config: { rope_scaling: { rope_type: 'yarn', factor: 4, attention_factor: -1 } } },
    /attention_factor of the rotary scaling "yarn" must be a positive number; got -1/)
  await broken({ config: { partial_rotary_factor: 0.5 } }, /partial_rotary_factor = 0.5 is not supported/)
  await broken({ config: { final_logit_softcapping: 30 } }, /final_logit_softcapping = 30 is not supported/)
  await broken({ config: { residual_multiplier: 0.2 } }, /residual_multiplier = 0.2 is not supported/)
  await broken({ config: { pad_token_id: '2' } }, /pad_token_id must be the number of a token; got "2"/)
  await broken({ head: 'score', config: { problem_type: 'ranking' } },
    /problem_type = "ranking" is not supported; supported are single_label_classification, /)
  await broken({ config: { tie_word_embeddings: false } }, /it has no lm_head.weight, and tie_word_embeddings/)
  await broken({ config: { rope_scaling: { rope_type: 'llama3', factor: 8 } } },
    /low_freq_factor of the rotary scaling "llama3" must be a positive number; got undefined/)
  await broken({ config: { quantization_config: { quant_method: 'gptq' } } },
    /quantization_config = .* is not supported/)
  await broken({ config: { layer_types: ['full_attention', 'sliding_attention'] } },
    /layer_types other than full_attention/)
  await broken({ config: { num_hidden_layers: 3 } }, /tensor blk.2.attn_norm.weight must have shape \[64\]; got none/)
  await broken({ config: { num_hidden_layers: 1 } }, /tensors blk.1.attn_norm.weight.* llama decoder/)
  await broken({ config: { hidden_size: '64' } }, /hidden_size must be an integer from 1 to 16777216; got "64"/)
  await broken({ family: 'qwen2', config: { model_type: 'llama' } }, /attn_q.bias.* llama decoder/)
  await broken({ tokenizer: { model: { type: 'Unigram', vocab: [] } } },
    /tokenizer.json of type "Unigram" .* is not supported; supported is BPE with ByteLevel/)
  await broken({ config: { vocab_size: 100 } }, /token_embd.weight must have shape \[100, 64\]; got \[264, 64\]/)
  await broken({ template: '{% for %}' }, /chat template/)
  await broken({}, /config.json must hold a JSON object/, path => { writeFileSync(join(path, 'config.json'), '[') })
  await broken({}, /it has no tokenizer.json/, path => { unlinkSync(join(path, 'tokenizer.json')) })
  await broken({ shards: 2 }, /model-00002-of-00002.safetensors/,
    path => { unlinkSync(join(path, 'model-00002-of-00002.safetensors')) })
  await broken({ shards: 2 }, /weight_map/,
    path => { writeFileSync(join(path, 'model.safetensors.index.json'), '{"weight_map": {"a": "../b.safetensors"}}') })
  const weights = (path: string): string => join(path, 'model.safetensors')
  await broken({}, /it is truncated/, path => { truncateSync(weights(path), 100_000) })
  await broken({}, /it has 3 bytes/, path => { truncateSync(weights(path), 3) })
  await broken({}, /header/, path => { writeFileSync(weights(path), Buffer.alloc(64, 255)) })
  await broken({}, /its header cannot be read: it is not JSON/,
    path => { writeFileSync(weights(path), Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 0, 0, 0), Buffer.from('{x')])) })
  const one = (name: string, dtype: string, shape: readonly number[], bytes: number) => (path: string): void => {
    writeFileSync(weights(path), safetensors([{ name, shape, dtype, data: Buffer.alloc(bytes) }]))
  }
  await broken({}, /tensor a has type "I64".*F32, F16, BF16/, one('a', 'I64', [1], 8))
  await broken({}, /tensor a of shape \[2\] in F32 needs 8 bytes; its data_offsets span 4/, one('a', 'F32', [2], 4))
  await broken({}, /tensor a .*shape.*\[-1\]/, one('a', 'F32', [-1], 4))
})

test('an added token behind the embedding is left out where nothing asks for it, and refused by its number where ' +
  'something does', async () => {
  const added = {
    id: 264,
    content: '[PAD]',
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true
  }
  const tokenizer = { added_tokens: [...tinyTokenizerJson.added_tokens, added] }
  const path = join(folder, 'behind')
  writeTinyCheckpoint(path, { family: 'llama', tokenizer, config: { pad_token_id: 264 } })
  const { file, tokenizer: read } = await openCheckpoint(path)
  await file.close()
  assert.equal(read.vocabularySize, 264)
  assert.equal(read.decode(read.encode('a [PAD] b')), 'a [PAD] b')
  for (const options of [{ config: { eos_token_id: 264 } }, { template: "{{ messages[0].content + '[PAD]' }}" }]) {
    writeTinyCheckpoint(path, { family: 'llama', tokenizer, ...options })
    await assert.rejects(openCheckpoint(path), /token "\[PAD\]" with number 264; the model has tokens 0 to 263/)
  }
})

test('a classifier cannot be served', async () => {
  const config = loadConfig({ model: join(folder, 'qwen2-score'), cacheDir: folder }, {})
  await assert.rejects(loadServedModel(config, () => {}), /qwen2-score scores texts and cannot write them/)
})

test('a folder is served like a file', async t => {
  const server = closedAfter(t, await tinyServer({ model: join(folder, 'qwen3'), format: 'f32' }))
  const { status, json } = await server.post('/v1/chat/completions',
    { model: 'qwen3', messages: [{ role: 'user', content: 'say' }], max_tokens: 8, seed: 1 })
  assert.equal(status, 200)
  assert.ok(json['usage'].completion_tokens > 0)
})
