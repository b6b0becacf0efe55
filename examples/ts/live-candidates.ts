/** Watches a search while it runs: one WebSocket, the candidates and their rewards as they finish, then the choice. */
const address = (process.env['FAIRLEAD_URL'] ?? 'http://127.0.0.1:8000').replace(/^http/, 'ws')
// Node 22 has a WebSocket of its own; Node 20 takes the one of the package `ws`.
const Socket = globalThis.WebSocket ?? (await import('ws')).default as unknown as typeof WebSocket
const socket = new Socket(`${address}/v1/stream`)

socket.addEventListener('open', () => {
  socket.send(JSON.stringify({
    type: 'create',
    id: 'one',
    request: {
      model: 'smollm2-135m',
      messages: [{ role: 'user', content: 'Write a short review of a film about a lighthouse keeper.' }],
      max_tokens: 32,
      seed: 2,
      alignment: { strategy: 'best_of_n', num_candidates: 6, reward: 'positive', return_candidates: true }
    }
  }))
})

socket.addEventListener('message', ({ data }) => {
  const event = JSON.parse(String(data)) as Record<string, any>
  if (event['type'] === 'candidate') {
    const { index, reward, text } = event['candidate'] ?? event
    const beginning = String(text).slice(0, 60).replaceAll('\n', ' ')
    console.log(`candidate ${index}  ${Number(reward).toFixed(2)}  ${beginning}…`)
  }
  if (event['type'] === 'selection') console.log('selection', JSON.stringify(event).slice(0, 100))
  if (event['type'] === 'error') throw new Error(event['error'].message)
  if (event['type'] === 'completed') socket.close()
})
