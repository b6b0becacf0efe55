/**
 * Guidance by contrast with other models, on tiny ones: who reads what, what it takes, and models that cannot be set
 * beside the policy.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadConfig } from '../../src/config.js'
import { loadServedModel } from '../../src/serving/served-models.js'
import { closedAfter } from '../helpers/closed-after.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'
import { merges, tinyVocabulary } from '../helpers/tiny-vocabulary.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-contrast-'))
const file = (name: string): string => join(folder, `${name}.gguf`)
writeTinyGguf(file('policy'))
writeTinyGguf(file('expert'), { seed: 7, layers: 3, hiddenSize: 32, queryHeads: 2, kvHeads: 1, contextLength: 64 })
writeTinyGguf(file('anti'), { seed: 8 })
writeTinyGguf(file('strange'), {
  metadata: {
    'tokenizer.ggml.tokens': tinyVocabulary.map((token, id) => id === tinyVocabulary.length - 1 ? 'zzz' : token),
    'tokenizer.ggml.merges': merges.slice(0, -1)
  }
})
/** The vocabulary filled up with rows that are no tokens, as converters write it. */
const padded = [...tinyVocabulary, ...Array.from({ length: 8 }, (_, index) => `[PAD${tinyVocabulary.length + index}]`)]
writeTinyGguf(file('padded'), {
  seed: 9,
  metadata: {
    'tokenizer.ggml.tokens': padded,
    'tokenizer.ggml.token_type': padded.map((_, id) => id < 3 ? 3 : id < tinyVocabulary.length ? 1 : 5)
  }
})

let server: TinyServer
let expert: TinyServer
before(async () => {
  server = await tinyServer({ format: 'f32', contrastModels: `expert=${file('expert')},anti=${file('anti')}` })
  expert = await tinyServer({ format: 'f32', model: file('expert') })
})
after(async () => {
  await server.close()
  await expert.close()
  rmSync(folder, { recursive: true })
})

type Json = Record<string, any>

const base = { model: 'tiny', messages: [{ role: 'user', content: 'the an' }], max_tokens: 12, seed: 1 }

async function ask (more: object, of = server): Promise<Json> {
  const { status, json } = await of.post('/v1/chat/completions', { ...base, ...more })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}

const textOf = (answer: Json): string => answer['choices'][0].message.content
const guided = (
  contrast: object, more: object = {}
): object => ({ alignment: { strategy: 'token_guidance', contrast, candidates: { top_k: 0 }, ...more } })

test('toward a model and away from the policy at strength 1, greedily, is the greedy answer of ' +
  'that model', async () => {
  const greedy = { temperature: 0 }
  const alone = textOf(await ask({ ...greedy, model: 'expert' }, expert))
  assert.equal(textOf(await ask({ ...greedy, ...guided({ toward: { model: 'expert' }, away: {} }) })), alone)
  assert.notEqual(textOf(await ask(greedy)), alone)
  const inContext = textOf(await ask(
    { ...greedy, model: 'expert', messages: [{ role: 'system', content: 'in on' }, ...base.messages] }, expert
  ))
  assert.equal(textOf(await ask({ ...greedy, ...guided({ toward: { model: 'expert', system: 'in on' }, away: {} }) })),
    inContext)
})

test('proxy-tuning with two models: at strength 0 plain sampling, otherwise not; what they read is counted, and ' +
  'streamed text is the same', async () => {
  const plain = textOf(await ask({}))
  const contrast = { toward: { model: 'expert' }, away: { model: 'anti' } }
  assert.equal(textOf(await ask(guided(contrast, { strength: 0 }))), plain)
  const body = {
    ignore_eos: true, n: 2, ...guided(contrast, { method: 'proxy_tuning', candidates: null, strength: 2 })
  }
  const { usage, alignment, choices } = await ask(body)
  assert.notEqual(choices[0].message.content, plain)
  assert.ok(alignment.kl.value > 0)
  // Both models read the prompt, and all but the last token of two answers.
  assert.ok(usage.alignment_details.reward_tokens > 2 * 2 * 11)
  const chunks = await server.stream('/v1/chat/completions', { ...base, ...body, n: 1, seed: 4 })
  assert.equal(chunks.map(chunk => chunk['choices'][0]?.delta.content ?? '').join(''),
    textOf(await ask({ ...body, n: 1, seed: 4 })))
})

test('a model whose vocabulary is filled up further guides, and is guided by, one whose is not', async t => {
  const config = { format: 'f32', contrastModels: `padded=${file('padded')}` }
  const guidedByPadded = closedAfter(t, await tinyServer(config))
  const paddedAlone = closedAfter(t, await tinyServer({ format: 'f32', model: file('padded') }))
  const greedy = { temperature: 0 }
  assert.equal(
    textOf(await ask({ ...greedy, ...guided({ toward: { model: 'padded' }, away: {} }) }, guidedByPadded)),
    textOf(await ask({ ...greedy, model: 'padded' }, paddedAlone)))
  const policy = closedAfter(t, await tinyServer({
    format: 'f32', model: file('padded'), contrastModels: `plain=${file('anti')}`
  }))
  const anti = closedAfter(t, await tinyServer({ format: 'f32', model: file('anti') }))
  const toward = guided({ toward: { model: 'plain' }, away: {} })
  assert.equal(textOf(await ask({ ...greedy, model: 'padded', ...toward }, policy)),
    textOf(await ask({ ...greedy, model: 'anti' }, anti)))
  // However strong, guidance draws no token that the other model does not have.
  const few = { outside: 'keep', candidates: { top_k: 4 }, transform: 'centered' }
  for (const more of [{}, few]) {
    const strong = guided({ toward: { model: 'plain' } }, { strength: 50, ...more })
    const drawn = await ask({ model: 'padded', ignore_eos: true, ...strong }, policy)
    assert.equal(drawn['usage'].completion_tokens, 12)
  }
  const { status, json } = await policy.post('/v1/completions',
    { model: 'padded', prompt: [5, padded.length - 1], max_tokens: 4, ...toward })
  assert.deepEqual([status, json['error'].param], [400, 'prompt'], JSON.stringify(json))
  assert.match(json['error'].message, /must hold token ids from 0 to 263/)
})

test('among other requests the same tokens are drawn', async () => {
  const body = (seed: number): object => ({
    seed, ...guided({ toward: { model: 'expert' } }, { method: 'genarm', candidates: null, strength: 0.7 })
  })
  const alone = textOf(await ask(body(3)))
  const among = await Promise.all([3, 4, 5, 6, 7, 8].map(seed => ask(body(seed))))
  assert.equal(textOf(among[0]!), alone)
})

test('a model that is not there, and an answer that does not fit into one, are refused by name', async () => {
  const refused: ReadonlyArray<readonly [body: object, param: string, message: RegExp]> = [
    [guided({ toward: { model: 'experts' } }), 'alignment.contrast.toward.model',
      /must be one of expert, anti \(contrast-models\); got "experts"/],
    [
      { ...guided({ toward: { model: 'expert' } }), max_tokens: 100 }, 'max_tokens',
      /expert's context length is 64 tokens; the prompt in the context alignment\.contrast\.toward has \d+ and max_tokens asks for 100/
    ],
    [guided({ away: { model: 'expert', system: 'in on the an '.repeat(20) } }), 'alignment.contrast.away',
      /expert's context length is 64 tokens/]
  ]
  for (const [body, param, message] of refused) {
    const { status, json } = await server.post('/v1/chat/completions', { ...base, ...body })
    assert.deepEqual([status, json['error'].param], [400, param], JSON.stringify(json))
    assert.match(json['error'].message, message)
  }
  const { json } =
    await expert.post('/v1/chat/completions', { ...base, model: 'expert', ...guided({ toward: { model: 'x' } }) })
  assert.match(json['error'].message,
    /alignment\.contrast\.toward\.model needs a server with contrast-models; this one has none for the model; got "x"/)
})

test('a model that cannot be set beside the policy stops the start, and says why', async () => {
  const start = (contrastModels: string): Promise<unknown> => loadServedModel(
    loadConfig({ model: file('policy'), cacheDir: folder, dataDir: join(folder, 'data'), contrastModels }, {}), () => {}
  )
  await assert.rejects(start(file('expert')), /contrast-models: must hold models as name=path/)
  await assert.rejects(start(`a=${file('expert')},a=${file('anti')}`), /contrast-models: a is there twice/)
  await assert.rejects(start(`a=${file('strange')}`), /contrast-models: token \d+ of a is another than that of policy/)
})
