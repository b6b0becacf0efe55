/**
 * Answers have the properties of their schema in its order, where JavaScript has another: over HTTP and the WebSocket,
 * in chats, completions, responses, calls of functions, and on the command line.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { packageRoot } from '../../src/package-root.js'
import { completedOverSocket } from '../helpers/tiny-server.js'
import { toolsServer, type ToolsServer } from '../helpers/tools-server.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

let server: ToolsServer
before(async () => { server = await toolsServer() })
after(() => server.close())

/** As text: of JavaScript's objects the order is lost. */
const schema = '{"type":"object","properties":{"zeta":{"const":1},"10":{"const":2},"2":{"const":3}},' +
  '"required":["2","10","zeta"],"additionalProperties":false}'

const keysOf = (json: string): string[] => [...json.matchAll(/"(\w+)"\s*:/g)].map(([, key]) => key!)

const expected = ['zeta', '10', '2']

async function post (path: string, body: string): Promise<Record<string, any>> {
  const response = await fetch(`${server.address}${path}`,
    { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const json = await response.json() as Record<string, any>
  assert.equal(response.status, 200, JSON.stringify(json))
  return json
}

const format = `{"type":"json_schema","json_schema":{"name":"x","schema":${schema}}}`
const chat = '"model":"tiny","messages":[{"role":"user","content":"hi"}],"max_tokens":200,"seed":1'
const tool = (fields: string): string => `{"name":"get","parameters":${schema}${fields}}`

test('over HTTP', async () => {
  const chatted = await post('/v1/chat/completions', `{${chat},"response_format":${format}}`)
  assert.deepEqual(keysOf(chatted['choices'][0].message.content), expected)
  const completed = await post('/v1/completions',
    `{"model":"tiny","prompt":"the","max_tokens":200,"seed":1,"response_format":${format}}`)
  assert.deepEqual(keysOf(completed['choices'][0].text), expected)
  const responded = await post('/v1/responses', '{"model":"tiny","input":"hi","max_output_tokens":200,"seed":1,' +
    `"text":{"format":{"type":"json_schema","name":"x","schema":${schema}}}}`)
  assert.deepEqual(keysOf(responded['output'][0].content[0].text), expected)
})

test('in calls of functions', async () => {
  const called = await post('/v1/chat/completions', `{${chat},"tool_choice":"required",` +
    `"parallel_tool_calls":false,"tools":[{"type":"function","function":${tool('')}}]}`)
  assert.deepEqual(keysOf(called['choices'][0].message.tool_calls[0].function.arguments), expected)
  const flat = await post('/v1/responses', '{"model":"tiny","input":"hi","max_output_tokens":200,"seed":1,' +
    `"parallel_tool_calls":false,"tool_choice":"required","tools":[${tool(',"type":"function"')}]}`)
  assert.deepEqual(keysOf(flat['output'].at(-1).arguments), expected)
})

test('over the WebSocket', async () => {
  const completion = await completedOverSocket(server,
    `{"type":"create","id":"a","request":{${chat},"response_format":${format}}}`)
  assert.deepEqual(keysOf(completion['choices'][0].message.content), expected)
})

test('on the command line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-order-'))
  try {
    writeTinyGguf(join(folder, 'tiny.gguf'))
    writeFileSync(join(folder, 'schema.json'), schema)
    const { stdout } = await promisify(execFile)(process.execPath, [join(packageRoot, 'dist/src/cli/main.js'),
      'generate', '--model', join(folder, 'tiny.gguf'), '--cache-dir', folder, '--seed', '1', '--max-tokens', '200',
      '--json-schema', join(folder, 'schema.json'), 'hi'])
    assert.deepEqual(keysOf(stdout), expected)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
