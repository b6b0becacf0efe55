/** The whole server in front of an inference engine elsewhere: what works, what is refused by name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import OpenAI from 'openai'
import { tinyEngineElsewhere } from '../helpers/tiny-engine-elsewhere.js'
import { completedOverSocket, startTinyServers } from '../helpers/tiny-server.js'

const startServer = startTinyServers()
const messages = [{ role: 'user' as const, content: 'abc' }]
const body = { messages, max_tokens: 12, seed: 7 }
const policyTokenizer = 'FOLDER/tiny.gguf'

test('chat, completions, responses and the socket answer with every strategy that only extends', async () => {
  const engine = await tinyEngineElsewhere()
  const server = await startServer({ policy: `${engine.url}#org/tiny`, policyTokenizer })
  const plain = await server.post('/v1/chat/completions', { model: 'org/tiny', ...body, n: 2, logprobs: true, top_logprobs: 3 })
  assert.equal(plain.status, 200, JSON.stringify(plain.json))
  console.log(JSON.stringify(plain.json, null, 1).slice(0, 3000))
})
