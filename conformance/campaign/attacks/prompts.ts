/** Texts that are cheap to send and dear to tokenise, to score or to keep. */
import { sendInTurn, type Attack, type Attacker, type Sending } from '../attack.js'
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

function longTexts (model: string): Sending[] {
  const text = 'lorem ipsum '.repeat(125_000)
  return [
    ['/v1/chat/completions', { model, messages: [{ role: 'user', content: text }], max_tokens: 4 }],
    ['/v1/chat/completions',
      { model, messages: range(20_000).map(() => ({ role: 'user', content: 'hi' })), max_tokens: 4 }],
    ['/v1/completions', { model, prompt: text, max_tokens: 4 }],
    ['/v1/embeddings', { model, input: text }],
    ['/v1/rewards/score', { reward: 'length', input: [{ prompt: text, answer: text.slice(0, 400_000) }] }]
  ]
}

/** @param times how often the legacy request is sent */
function promptLists (model: string, times: number): Sending[] {
  const prompt = 'a b '.repeat(1800)
  return [
    ...range(times).map((round): Sending =>
      ['/v1/completions', { model, prompt: range(128).map(index => `${round} ${index} ${prompt}`), max_tokens: 1 }]),
    ['/v1/embeddings', { model, input: range(128).map(index => `${index} ${prompt}`) }]
  ]
}

function tokenLists (model: string): Sending[] {
  return [250_000, 500_000].flatMap((count): Sending[] => [
    ['/v1/completions', { model, prompt: new Array(count).fill(5), max_tokens: 1 }],
    ['/detokenize', { model, tokens: new Array(count).fill(5) }],
    ['/detokenize', { model, tokens: new Array(count).fill(2 ** 31) }]
  ])
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
    isFlood: true,
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
    what: 'chats, completions, embeddings and scores of 1.5 MB of text',
    run: attacker => sendInTurn(attacker, longTexts(attacker.victim.model))
  },
  {
    name: 'prompt-lists',
    what: 'a legacy request of 128 long prompts, one of embeddings',
    run: attacker => sendInTurn(attacker, promptLists(attacker.victim.model, 1))
  },
  {
    name: 'token-lists',
    what: 'prompts of a quarter of a million and half a million token numbers, out of range and not',
    run: attacker => sendInTurn(attacker, tokenLists(attacker.victim.model))
  },
  {
    name: 'prompt-flood',
    what: 'the long texts, three times the lists of prompts and the lists of tokens, all at once',
    isFlood: true,
    run: async ({ victim: { model }, send }) => {
      await Promise.all([...longTexts(model), ...promptLists(model, 3), ...tokenLists(model)].map(one => send(...one)))
    }
  },
  { name: 'uncounted-calls', what: 'five calls with a key that may make two a minute', run: uncounted },
  {
    name: 'stop-lists',
    what: 'long stop sequences, full logit_bias, 2,000 unknown fields, wide fan-out',
    run: attacker => {
      const base = { model: attacker.victim.model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 16 }
      return sendInTurn(attacker, [
        { stop: range(4).map(index => 'a'.repeat(300_000) + index) },
        { logit_bias: Object.fromEntries(range(50_000).map(index => [index, 100])) },
        Object.fromEntries(range(2000).map(index => [`unknown_field_${index}`, 1])),
        { n: 1e9 },
        { n: 128, max_tokens: 500 },
        { user: 'u'.repeat(1 << 20) },
        { priority: -1000 }
      ].map(more => ['/v1/chat/completions', { ...base, ...more }]))
    }
  },
  {
    name: 'stored-names',
    what: 'stored chats with a name and metadata of 1.9 MB',
    isFlood: true,
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
    isFlood: true,
    run: async ({ victim: { model }, send, over }) => {
      for (let index = 0; index < 40 && !over.aborted; index++) {
        const gone = new AbortController()
        const sent = send('/v1/responses', {
          model,
          input: `write ${index}`,
          background: true,
          store: true,
          stream: true,
          max_output_tokens: 40,
          alignment: { strategy: 'best_of_n', num_candidates: 8, reward: 'length', return_progress: true }
        }, { signal: gone.signal })
        setTimeout(() => { gone.abort() }, 200).unref()
        await sent
      }
    }
  }
]
