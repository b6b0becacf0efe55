/** Programs that many people have: curl, wget, Java's HttpClient. One that is not installed is skipped. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'

const url = process.env.FAIRLEAD_URL
const exec = promisify(execFile)
const body = JSON.stringify({
  model: 'smollm2-135m', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4, temperature: 0
})

/** Whether a program is installed; the reason to skip its tests where it is not. */
const skip = async (/** @type {string} */ program, /** @type {string} */ flag) =>
  exec(program, [flag]).then(() => false, () => `${program} is not installed`)

const curl = { skip: await skip('curl', '--version') }
const wget = { skip: await skip('wget', '--version') }
const java = { skip: await skip('java', '-version') }

test('curl --http2 is answered over HTTP/1.1, on a connection that is used again', curl, async () => {
  const request = ['--http2', '-sS', '--fail', '-H', 'content-type: application/json', '-d', body,
    '-w', '\n%{http_version} %{num_connects}\n', `${url}/v1/chat/completions`]
  const { stdout } = await exec('curl', [...request, '--next', ...request])
  const [first, one, second, two] = stdout.trim().split('\n')
  const contentOf = (/** @type {string} */ text) => JSON.parse(text).choices[0].message.content
  assert.equal(contentOf(first), contentOf(second))
  assert.deepEqual([one, two], ['1.1 1', '1.1 0'])
})

test('curl sends a compressed body', curl, async () => {
  const { gzipSync } = await import('node:zlib')
  const sent = exec('curl', ['-sS', '--fail', '-H', 'content-type: application/json', '-H', 'content-encoding: gzip',
    '--data-binary', '@-', `${url}/v1/chat/completions`])
  sent.child.stdin?.end(gzipSync(body))
  assert.equal(JSON.parse((await sent).stdout).object, 'chat.completion')
})

test('wget --spider asks for health and models by HEAD', wget, async () => {
  for (const path of ['/health', '/ready', '/v1/models']) {
    await exec('wget', ['--spider', '-q', '-t', '1', `${url}${path}`])
  }
})

test('Java’s HttpClient, which offers HTTP/2 with every request', java, async () => {
  const { stdout } = await exec('java', [fileURLToPath(new URL('Client.java', import.meta.url)), url ?? '', body])
  assert.deepEqual(stdout.trim().split('\n'), ['POST 200 HTTP_1_1', 'POST 200 HTTP_1_1', 'GET 200 HTTP_1_1',
    'WebSocket error'])
})
