/** Replayed requests about rewards: scored, fitted, adapted, deleted; stored chats and feedback on them. */
import { chat, get, id, post, remove, type Request } from './request.js'

export const pairs = Array.from({ length: 24 }, (_, day) => ({
  prompt: `Tell me of day ${day}.`,
  chosen: `Day ${day} was calm, and we read a book by the lamp.`,
  rejected: `day ${day} noise noise bad ${day * 7} ${day % 3 === 0 ? 'and a book' : 'storm'}`
}))
const fitted = { examples: pairs, layers: [10], data: 'made pairs', licence: 'none' }

export const rewards: readonly Request[] = [
  {
    name: 'rewards/score: prefixes, a sum, models that read; score and rerank',
    calls: [
      post('/v1/rewards/score', {
        rewards: [{ name: 'positive' }, { name: 'helpful_ensemble', weight: 0.5 }],
        every: 8,
        input: [{ prompt: 'Write a review.', answer: 'A fine film, warm and well acted, though it drags on.' }]
      }),
      post('/v1/rewards/score', {
        reward: 'positive_reader',
        input: [
          { prompt: 'Write a review.', answer: 'A fine film.' }, { prompt: 'Write a review.', answer: 'A dull film.' }
        ]
      }),
      post('/v1/rewards/score', {
        reward: 'sailor',
        reward_scale: 'raw',
        input: [{
          messages: [
            { role: 'user', content: 'Who are you?' }, { role: 'assistant', content: 'Arr, I sail the seven seas!' }
          ]
        }]
      }),
      post('/v1/rewards/score', {
        rewards: [{ name: 'certain' }, { name: 'asks_back', weight: -1 }],
        member: 'prefix',
        input: [
          { prompt: 'Write.', answer: 'The sea is' }
        ]
      }),
      post('/v1/score', { model: 'positive', text_1: 'Write a review.', text_2: ['A moving film.', 'A dreary film.'] }),
      post('/v1/rerank', {
        model: 'helpful',
        query: 'What is a lighthouse?',
        top_n: 2,
        documents: [
          'I do not know.', 'A tower with a light that guides ships.', { text: 'film film film' }
        ]
      })
    ]
  },
  {
    name: 'fit with directions, use, adapt, suggest, delete',
    calls: [
      post('/v1/rewards/fit', { ...fitted, name: 'calm', directions: 3 }),
      get('/v1/rewards/calm'),
      chat({ alignment: { reward: 'calm', num_candidates: 3 }, max_tokens: 8 }),
      post('/v1/rewards/calm/adapt', { name: 'calm-for-ada', examples: pairs.slice(0, 4) }),
      post('/v1/rewards/calm/suggest', {
        labelled: pairs.slice(0, 3),
        count: 2,
        candidates: [
          { prompt: 'Tell me.', answers: ['The sea was calm.', 'Noise and storm.'] },
          { prompt: 'Tell me.', answers: ['A book by the lamp.', 'bad bad'] },
          { prompt: 'Tell me.', answers: ['Yes.', 'No.'] }
        ]
      }),
      post('/v1/rewards/score', { reward: 'calm-for-ada', input: [{ prompt: 'Tell me.', answer: 'A calm day.' }] }),
      remove('/v1/rewards/calm-for-ada'),
      remove('/v1/rewards/positive')
    ]
  },
  {
    name: 'fit an ensemble, streamed; labels; replace',
    calls: [
      post('/v1/rewards/fit', {
        ...fitted,
        name: 'panel',
        ensemble: { heads: 4, uncertainty: 'laplace', combine: 'uwo', penalty: 0.5 },
        stream: true
      }),
      post('/v1/rewards/fit', {
        ...fitted,
        name: 'panel',
        replace: true,
        prefixes: false,
        examples: pairs.flatMap(
          ({ prompt, chosen, rejected }) => [
            { prompt, answer: chosen, label: 1 },
            { prompt, answer: rejected, label: 0 }
          ]
        )
      }),
      post('/v1/rewards/fit', { ...fitted, name: 'panel' })
    ]
  },
  {
    name: 'a stored chat and feedback',
    calls: [
      chat({ store: true, n: 2, max_tokens: 8 }),
      get(earlier => `/v1/chat/completions/${id(earlier)}`),
      post('/v1/feedback', earlier => ({ completion_id: id(earlier), chosen: 1, rejected: 0 })),
      post('/v1/feedback', earlier => ({ completion_id: id(earlier), label: 1, dataset: 'thumbs' })),
      get('/v1/feedback?limit=1'),
      remove(earlier => `/v1/feedback/${id(earlier, 2)}`),
      post('/v1/rewards/fit', { name: 'too-few', feedback: { dataset: 'thumbs' } }),
      remove(earlier => `/v1/chat/completions/${id(earlier)}`),
      get(earlier => `/v1/chat/completions/${id(earlier)}`)
    ]
  }
]
