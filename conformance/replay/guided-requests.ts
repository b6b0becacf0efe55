/**
 * Requests of the replay that are guided: every strategy, with rewards of every kind that needs nothing but the
 * default model.
 */
import { chat, lighthouse, model, post, type Request } from './request.js'

/** A guided chat. */
const guided = (name: string, alignment: object, more: object = {}): Request => (
  { name, calls: [chat({ alignment, ...more })] }
)

const ask = (content: string): Array<{ role: string, content: string }> => [{ role: 'user', content }]
const sum = ask('What is 2 + 3? Answer with a number.')
const traced = { return_trace: true }
const short = { step: { tokens: 4 } }

/** Long enough, with 16 candidates, for its KV to be stored once for all of them. */
const longPrompt = ask(`Here is a log of the light.\n${
  Array.from({ length: 30 }, (_, day) => `Day ${day + 1}: the lamp burned ${(day * 7) % 11 + 3} hours.`).join('\n')
}\nSum it up.`)

const moods = {
  type: 'object',
  properties: { mood: { enum: ['calm', 'dark', 'funny'] }, stars: { type: 'integer', minimum: 1, maximum: 5 } },
  required: ['mood', 'stars'],
  additionalProperties: false
}

const bestOfN: readonly Request[] = [
  guided('best_of_n: a head, traced', { reward: 'positive', num_candidates: 4, ...traced }),
  guided('best_of_n: softmax, two rewards, max_kl', {
    rewards: [{ name: 'helpful' }, { name: 'length', weight: -0.5 }],
    num_candidates: 4,
    selection: 'softmax',
    strength: 2,
    max_kl: 0.5
  }),
  guided('best_of_n: pessimistic, a checklist', {
    reward: 'checklist', num_candidates: 4, selection: 'pessimistic', strength: 0.5
  }),
  guided('best_of_n: kl_regularized, an ensemble of heads', {
    reward: 'helpful_ensemble', num_candidates: 3, selection: 'kl_regularized', return_candidates: true
  }, { logprobs: true }),
  guided('best_of_n: mbr_regularized, a model that reads', {
    reward: 'positive_reader', num_candidates: 3, selection: 'mbr_regularized', return_candidates: true
  }),
  guided('best_of_n: majority without a reward', {
    strategy: 'best_of_n', num_candidates: 5, selection: 'majority', extract: 'last_number'
  }, { messages: sum }),
  guided('best_of_n: weighted_majority, right numbers, stopped early', {
    reward: 'sums',
    num_candidates: 8,
    selection: 'weighted_majority',
    extract: 'last_number',
    stop_when: { majority_probability: 0.7, every: 2 }
  }, { messages: sum }),
  guided('best_of_n: eager, few words', {
    reward: 'few_words', num_candidates: 8, stop_when: { min_reward: 1, every: 2, eager: true }, return_candidates: true
  }, { messages: ask('Greet me.') }),
  guided('best_of_n: Poisson, a ratio of probabilities', { reward: 'sailor', poisson_mean: 3 }),
  guided('best_of_n: 16 behind a shared prompt', {
    reward: 'positive', num_candidates: 16
  }, { messages: longPrompt, max_tokens: 8 }),
  guided('best_of_n: JSON of a schema, two choices', { reward: 'is_review', num_candidates: 3 }, {
    n: 2,
    max_tokens: 32,
    response_format: { type: 'json_object' },
    messages: ask('Review a film, as JSON with a title.')
  })
]

const searches: readonly Request[] = [
  guided('speculative_rejection: a head', {
    strategy: 'speculative_rejection', reward: 'positive', num_candidates: 6, checkpoints: [4, 8, 12], ...traced
  }),
  guided('speculative_rejection: the policy’s confidence', {
    strategy: 'speculative_rejection', reward: 'certain', num_candidates: 4, checkpoints: [6], reject_fraction: 0.5
  }),
  guided('beam_search: streamed with progress, against a head', {
    strategy: 'beam_search',
    rewards: [{ name: 'positive', weight: -1 }],
    num_beams: 2,
    num_children: 2,
    ...short,
    return_progress: true
  }, { stream: true, stream_options: { include_usage: true } }),
  guided('beam_search: sampled beams, words as steps, look-ahead', {
    strategy: 'beam_search',
    reward: 'sailor',
    num_beams: 2,
    num_children: 2,
    keep: 'sample',
    step: { delimiter: ' ' },
    score_every: 3,
    lookahead_tokens: 2,
    max_steps: 3
  }),
  guided('dvts: a head and a rule, traced', {
    strategy: 'dvts',
    rewards: [{ name: 'positive' }, { name: 'no_house', weight: 0.5 }],
    num_trees: 2,
    num_children: 2,
    ...short,
    ...traced
  }),
  guided('dvts: look-ahead, majority', {
    strategy: 'dvts',
    reward: 'helpful',
    num_trees: 3,
    num_children: 2,
    step: { tokens: 8 },
    lookahead_tokens: 2,
    selection: 'majority'
  }),
  guided('rebase: mbr', { strategy: 'rebase', reward: 'positive', width: 5, ...short, selection: 'mbr', ...traced }),
  guided('rebase: softmax, an ensemble of heads', {
    strategy: 'rebase',
    reward: 'helpful_ensemble',
    width: 4,
    step: { tokens: 8 },
    allocation_temperature: 1,
    selection: 'softmax',
    strength: 0.5
  }),
  guided('particle_filter: twisted', {
    strategy: 'particle_filter', reward: 'positive', num_particles: 4, ...short, ...traced
  }),
  guided('particle_filter: product, multinomial, argmax', {
    strategy: 'particle_filter',
    reward: 'helpful',
    num_particles: 4,
    ...short,
    weighting: 'product',
    resampling: 'multinomial',
    ess_threshold: 1,
    final_choice: 'argmax',
    reward_scale: 'raw',
    strength: 0.5
  }),
  guided('particle_filter: Gibbs', {
    strategy: 'particle_filter', reward: 'positive', num_particles: 3, ...short, num_iterations: 3
  }),
  guided('segment_rejection: by entropy', {
    strategy: 'segment_rejection', reward: 'positive', segment: { entropy: 2.5 }, max_tries: 4
  }),
  guided('segment_rejection: by tokens, two choices', {
    strategy: 'segment_rejection',
    reward: 'helpful',
    segment: { tokens: 4 },
    target_reward: 1.5,
    strength: 3,
    max_tries: 3
  }, { n: 2 })
]

const guidance: readonly Request[] = [
  guided('token_guidance: ARGS', { strategy: 'token_guidance', method: 'args', reward: 'positive' }),
  guided('token_guidance: VAS, logprobs', {
    strategy: 'token_guidance', method: 'vas', reward: 'helpful'
  }, { logprobs: true, top_logprobs: 2 }),
  {
    name: 'token_guidance: FUDGE; RAD by a rule; CD',
    calls: [['fudge', 'positive'], ['rad', 'no_house'], ['cd', 'helpful']].map(([method, reward]) => (
      chat({ alignment: { strategy: 'token_guidance', method, reward }, max_tokens: 8 })
    ))
  },
  guided('token_guidance: a Q-head, two choices', {
    strategy: 'token_guidance', method: 'q_head', reward: 'positive', strength: 2
  }, { n: 2 }),
  guided('token_guidance: a Q-head under max_kl and a schema', {
    strategy: 'token_guidance', method: 'q_head', reward: 'helpful', max_kl: 1.5
  }, { max_tokens: 32, response_format: { type: 'json_schema', json_schema: { name: 'mood', schema: moods } } }),
  guided('token_guidance: prefix values of a ratio, centred', {
    strategy: 'token_guidance',
    reward: 'sailor',
    candidates: { top_k: 4 },
    transform: 'centered',
    outside: 'keep',
    max_kl: 2
  }, { max_tokens: 8 }),
  guided('token_guidance: a contrast of system messages', {
    strategy: 'token_guidance',
    candidates: { top_k: 20, top_p: 0.95 },
    strength: 1.5,
    contrast: {
      toward: { system: 'You found the film dull and badly made, and say so.' },
      away: { system: 'You found the film moving and well made, and say so.' }
    }
  }),
  guided('token_guidance: proxy-tuning by another model', {
    strategy: 'token_guidance',
    method: 'proxy_tuning',
    contrast: { toward: { model: 'twin', prefix: 'Ahoy!' }, away: { model: 'twin' } }
  })
]

const elsewhere: readonly Request[] = [
  {
    name: 'a profile; guided legacy completions, streamed',
    calls: [
      chat({ model: `${model}:best-of-3`, alignment: { return_candidates: true } }),
      post('/v1/completions', {
        model,
        prompt: 'The keeper of the lighthouse',
        max_tokens: 12,
        seed: 5,
        stream: true,
        alignment: { strategy: 'particle_filter', reward: 'length', num_particles: 3, ...short }
      })
    ]
  },
  {
    name: 'a guided response',
    calls: [post('/v1/responses', {
      model,
      input: lighthouse[0]!.content,
      max_output_tokens: 16,
      seed: 7,
      stream: true,
      store: false,
      alignment: { reward: 'english', num_candidates: 3, return_progress: true }
    })]
  }
]

export const guidedRequests: readonly Request[] = [...bestOfN, ...searches, ...guidance, ...elsewhere]
