/**
 * response_format, and text.format of responses, over HTTP and the WebSocket on a tiny random model: random schemas
 * with and without a strategy, streams, refusals.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { randomStream } from '../../src/policies/random-stream.js'
import { SchemaGenerator } from '../helpers/random-schema.js'
import { completedOverSocket, tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer() })
after(() => server.close())

const ajv = new Ajv2020({ strict: false, validateFormats: false })
const base = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 400 }
const formatOf = (
  schema: object
): object => ({ type: 'json_schema', json_schema: { name: 'random', strict: true, schema } })

/** Checks every choice that ended by itself. @returns how many those were */
function checkChoices (schema: object, completion: Record<string, any>): number {
  const accept = ajv.compile(schema)
  const ended = completion['choices'].filter((choice: Record<string, any>) => choice['finish_reason'] === 'stop')
  for (const { message } of ended) {
    assert.ok(accept(JSON.parse(message.content)),
      `${JSON.stringify(schema)} wrote ${message.content}: ${ajv.errorsText(accept.errors)}`)
  }
  for (const { finish_reason: reason } of completion['choices']) assert.ok(reason === 'stop' || reason === 'length')
  return ended.length
}

const random = randomStream(11, 'schemas')
const schemas = Array.from({ length: 40 }, () => new SchemaGenerator(random, true).next())

test('answers under random schemas parse and validate, plain and with best_of_n', async () => {
  let ended = 0
  for (const [seed, schema] of schemas.entries()) {
    const body = {
      ...base,
      seed,
      response_format: formatOf(schema),
      ...(seed % 2 === 0 ? { n: 2 } : { alignment: { strategy: 'best_of_n', num_candidates: 3, reward: 'length' } })
    }
    const { status, json } = await server.post('/v1/chat/completions', body)
    assert.equal(status, 200, JSON.stringify(json))
    ended += checkChoices(schema, json)
  }
  assert.ok(ended >= 50, `${ended} ended`)
})

const color = {
  type: 'object',
  properties: { color: { enum: ['red', 'green', 'blue'] }, size: { type: 'integer', minimum: 1, maximum: 20 } },
  required: ['color', 'size'],
  additionalProperties: false
}

test('every strategy is held to the schema', async () => {
  for (const alignment of [
    { strategy: 'speculative_rejection', num_candidates: 4, checkpoints: [2, 8] },
    { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 4 }, lookahead_tokens: 2 },
    { strategy: 'dvts', num_trees: 2, num_children: 2, step: { tokens: 4 } },
    { strategy: 'rebase', width: 4, step: { tokens: 4 } },
    { strategy: 'particle_filter', num_particles: 4, step: { tokens: 2 } },
    { strategy: 'segment_rejection', segment: { tokens: 4 }, target_reward: 1 },
    { strategy: 'token_guidance', candidates: { top_k: 5 } }
  ]) {
    const { status, json } = await server.post('/v1/chat/completions', {
      ...base,
      seed: 3,
      response_format: formatOf(color),
      alignment: { ...alignment, reward: 'length', allow_scope_mismatch: true, return_candidates: true }
    })
    assert.equal(status, 200, JSON.stringify(json))
    assert.equal(checkChoices(color, json), 1, `${alignment.strategy}: ${JSON.stringify(json['choices'])}`)
  }
})

test('filters, penalties, bias and greedy decoding leave the answer what it must be', async () => {
  const quote = (await server.post('/tokenize', { prompt: '"' })).json['tokens'][0] as number
  for (const more of [{ temperature: 0 }, { top_k: 1 }, { top_p: 0.01 }, { min_p: 1 },
    { temperature: 2, frequency_penalty: 2, presence_penalty: 2, repetition_penalty: 10 },
    { logit_bias: { [quote]: -100 } }]) {
    const { json } =
      await server.post('/v1/chat/completions', { ...base, seed: 5, response_format: formatOf(color), ...more })
    assert.equal(checkChoices(color, json), 1, JSON.stringify(more))
  }
})

test('a stream is the same answer, and an answer that is cut off says so', async () => {
  const body = { ...base, seed: 9, response_format: formatOf(color) }
  const { json } = await server.post('/v1/chat/completions', body)
  const chunks = await server.stream('/v1/chat/completions', body)
  assert.equal(chunks.map(chunk => chunk['choices'][0]?.delta.content ?? '').join(''),
    json['choices'][0].message.content)
  const cut = await server.post('/v1/chat/completions', { ...body, max_tokens: 3 })
  assert.equal(cut.json['choices'][0].finish_reason, 'length')
  assert.throws(() => JSON.parse(cut.json['choices'][0].message.content))
})

test('json_object begins an object; text is anything; completions and the WebSocket take formats, too', async () => {
  const { json } = await server.post('/v1/chat/completions',
    { ...base, seed: 1, max_tokens: 4, response_format: { type: 'json_object' } })
  assert.match(json['choices'][0].message.content, /^\{/)
  assert.equal((await server.post('/v1/chat/completions',
    { ...base, max_tokens: 4, response_format: { type: 'text' } })).status, 200)
  const legacy = await server.post('/v1/completions',
    { model: 'tiny', prompt: 'the', max_tokens: 200, seed: 1, response_format: formatOf(color) })
  assert.ok(ajv.compile(color)(JSON.parse(legacy.json['choices'][0].text)))
  const request = { ...base, seed: 2, response_format: formatOf(color) }
  const completion = await completedOverSocket(server, JSON.stringify({ type: 'create', id: 'a', request }))
  assert.equal(checkChoices(color, completion), 1)
})

test('responses take the format in text, and tell it', async () => {
  const format = { type: 'json_schema', name: 'color', strict: true, schema: color }
  const { status, json } = await server.post('/v1/responses',
    { model: 'tiny', input: 'hi', max_output_tokens: 200, seed: 4, text: { format } })
  assert.equal(status, 200, JSON.stringify(json))
  assert.ok(ajv.compile(color)(JSON.parse(json['output'][0].content[0].text)))
  assert.deepEqual(json['text'], { format })
})

/** [fields, param, what the message says] */
const refused: ReadonlyArray<readonly [object, string, RegExp]> = [
  [{ response_format: 'json' }, 'response_format', /must be an object/],
  [{ response_format: { type: 'yaml' } }, 'response_format.type', /one of text, json_object, json_schema; got "yaml"/],
  [{ response_format: { type: 'json_object', schema: {} } }, 'response_format.schema', /is not a field/],
  [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema', /must be an object/],
  [{ response_format: { type: 'json_schema', json_schema: { name: 'a b', schema: {} } } },
    'response_format.json_schema.name', /1 to 64 letters/],
  [{ response_format: { type: 'json_schema', json_schema: { name: 'a', schema: {}, strict: 'yes' } } },
    'response_format.json_schema.strict', /true or false/],
  [{ response_format: formatOf({ type: 'string', pattern: 'a' }) }, 'response_format.json_schema.schema.pattern',
    /./],
  [{ response_format: formatOf({ $ref: '#' }) }, 'response_format.json_schema.schema.$ref', /#/],
  [{ response_format: formatOf(color), ignore_eos: true }, 'ignore_eos', /cannot be true with response_format/],
  [{ response_format: formatOf(color), min_tokens: 3 }, 'min_tokens', /must be 0 with response_format/],
  [{ response_format: formatOf(color), continue_final_message: true }, 'continue_final_message',
    /cannot be true with response_format/],
  [{ guided_json: color }, 'guided_json', /response_format/]
]

test('what cannot be done is a 400 that names the field', async () => {
  for (const [fields, param, message] of refused) {
    const { status, json } = await server.post('/v1/chat/completions', { ...base, ...fields })
    assert.equal(status, 400, JSON.stringify(fields))
    assert.equal(json['error'].param, param)
    assert.match(json['error'].message, message)
  }
})
