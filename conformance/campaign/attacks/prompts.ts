/** Texts that are cheap to send and dear to tokenise, to score or to keep. */
import type { Attack, Attacker } from '../attack.js'
import { limitedRate } from '../target.js'

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** A holder of a key that may ask twice a minute asks more often. */
async function uncounted ({ victim, send, tally }: Attacker): Promise<void> {
  const bodies: ReadonlyArray<readonly [path: string, body: object]> = [
    ['/tokenize', { model: victim.model, prompt: 'a' }],
    ['/detokenize', { model: victim.model, tokens: [1] }],
    ['/v1/embeddings', { model: victim.model, input: 'a' }],
    ['/v1/rewards/score', { reward: 'length', input: [{ prompt: 'a', answer: 'b' }] }],
    ['/tokenize', { model: victim.model, prompt: 'b' }]
  ]
  const answers = []
  for (const [path, body] of bodies) answers.push(await send(path, body, { holder: 'limited' }))
  const passed = answers.filter(({ status }) => status !== 429).length
  if (passed > limitedRate) {
    tally.faults.push(`${passed} of ${bodies.length} calls passed with a key that may make ${limitedRate} a minute`)
  }
}

export const promptAttacks: readonly Attack[] = [
  {
    name: 'score-prefixes',
    what: '/v1/rewards/score of 128 and 256 KB of spaces, a score at every character',
    run: async ({ send }) => {
      for (const size of [128, 256]) {
        await send('/v1/rewards/score',
          { reward: 'length', input: [{ prompt: 'hi', answer: ' '.repeat(size << 10) }], every: 1 })
      }
    }
  },
  {
    name: 'long-tokenize',
    what: '/tokenize of 800 KB of one letter, four at once',
    run: async ({ victim, send }) => {
      await Promise.all(range(4).map(() =>
        send('/tokenize', { model: victim.model, prompt: 'a'.repeat(800_000) })))
    }
  },
  {
    name: 'auto-truncation',
    what: 'truncation: auto with 215 KB in many messages',
    run: async ({ victim, send }) => {
      await send('/v1/responses', {
        model: victim.model,
        truncation: 'auto',
        max_output_tokens: 16,
        input: range(430).map(() => ({ role: 'user', content: 'a'.repeat(500) }))
      })
    }
  },
  {
    name: 'long-chats',
    what: 'chats, completions and embeddings of 1.5 MB of text',
    run: async ({ victim: { model }, send }) => {
      const text = 'lorem ipsum '.repeat(125_000)
      await Promise.all([
        send('/v1/chat/completions', { model, messages: [{ role: 'user', content: text }], max_tokens: 4 }),
        send('/v1/chat/completions',
          { model, messages: range(20_000).map(() => ({ role: 'user', content: 'hi' })), max_tokens: 4 }),
        send('/v1/completions', { model, prompt: text, max_tokens: 4 }),
        send('/v1/embeddings', { model, input: text }),
        send('/v1/rewards/score', { reward: 'length', input: [{ prompt: text, answer: text.slice(0, 400_000) }] })
      ])
    }
  },
  {
    name: 'prompt-lists',
    what: 'three legacy requests of 128 long prompts, one of embeddings',
    run: async ({ victim: { model }, send }) => {
      const prompt = 'a b '.repeat(1800)
      await Promise.all([
        ...range(3).map(round =>
          send('/v1/completions', { model, prompt: range(128).map(index => `${round} ${index} ${prompt}`), max_tokens: 1 })),
        send('/v1/embeddings', { model, input: range(128).map(index => `${index} ${prompt}`) })
      ])
    }
  },
  {
    name: 'token-lists',
    what: 'prompts of a million token numbers, out of range and not',
    run: async ({ victim: { model }, send }) => {
      await send('/v1/completions', { model, prompt: new Array(500_000).fill(5), max_tokens: 1 })
      await send('/detokenize', { model, tokens: new Array(500_000).fill(5) })
      await send('/detokenize', { model, tokens: new Array(500_000).fill(2 ** 31) })
    }
  },
  { name: 'uncounted-calls', what: 'five calls with a key that may make two a minute', run: uncounted },
  {
    name: 'stop-lists',
    what: 'long stop sequences, full logit_bias, 2,000 unknown fields, wide fan-out',
    run: async ({ victim: { model }, send }) => {
      const base = { model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 16 }
      await Promise.all([
        send('/v1/chat/completions', { ...base, stop: range(4).map(index => 'a'.repeat(300_000) + index) }),
        send('/v1/chat/completions',
          { ...base, logit_bias: Object.fromEntries(range(50_000).map(index => [index, 100])) }),
        send('/v1/chat/completions', { ...base, ...Object.fromEntries(range(2000).map(i => [`unknown_field_${i}`, 1])) }),
        send('/v1/chat/completions', { ...base, n: 1e9 }),
        send('/v1/chat/completions', { ...base, n: 128, max_tokens: 500 }),
        send('/v1/chat/completions', { ...base, user: 'u'.repeat(1 << 20) }),
        send('/v1/chat/completions', { ...base, priority: -1000 })
      ])
    }
  },
  {
    name: 'stored-names',
    what: 'stored chats with a name and metadata of 1.9 MB',
    run: async ({ victim: { model }, send, over }) => {
      const name = 'n'.repeat(1_900_000)
      for (let index = 0; index < 60 && !over.aborted; index++) {
        await send('/v1/chat/completions', {
          model,
          messages: [{ role: 'user', content: 'hi', name }],
          max_tokens: 1,
          store: true,
          metadata: { index: String(index) }
        })
      }
    }
  },
  {
    name: 'background-streams',
    what: 'background responses with stream and return_progress that nobody reads',
    run: async ({ victim: { model }, send, over }) => {
      for (let index = 0; index < 40 && !over.aborted; index++) {
        const gone = new AbortController()
        const sent = send('/v1/responses', {
          model,
          input: `write ${index}`,
          background: true,
          store: true,
          stream: true,
          max_output_tokens: 200,
          alignment: { strategy: 'best_of_n', num_candidates: 8, reward: 'length', return_progress: true }
        }, { signal: gone.signal })
        setTimeout(() => { gone.abort() }, 200).unref()
        await sent
      }
    }
  }
]
