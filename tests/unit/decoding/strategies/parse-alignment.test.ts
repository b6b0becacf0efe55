import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkChoices, checkTemperature } from '../../../../src/decoding/strategies/parameter-rules.js'
import { parseAlignment } from '../../../../src/decoding/strategies/parse-alignment.js'
import { answersGrown, fanOut, probed } from '../../../../src/decoding/strategies/strategy-footprint.js'
import { RequestError } from '../../../../src/errors.js'

/** [value, param, what the message says] */
const refused: ReadonlyArray<readonly [unknown, string, RegExp]> = [
  [[], 'alignment', /must be an object; got \[\]/],
  ['best_of_n', 'alignment', /must be an object; got "best_of_n"/],
  [
    {}, 'alignment.strategy',
    /must be given where there is no reward: one of best_of_n, speculative_rejection, beam_search, dvts, rebase, particle_filter, segment_rejection, token_guidance/
  ],
  [{ strategy: 'bestofn', reward: 'x' }, 'alignment.strategy', /is not known; it must be one of/],
  [{ strategy: 'constructor', reward: 'x' }, 'alignment.strategy', /is not known/],
  [{ strategy: 'best_of_n' }, 'alignment.reward', /is needed by best_of_n/],
  [{ reward: 'x', rewards: [{ name: 'x' }] }, 'alignment.reward', /cannot both be given/],
  [{ reward: '' }, 'alignment.reward', /must be the name of a reward; got ""/],
  [{ rewards: [{ name: 'x' }, { name: 'x' }] }, 'alignment.rewards', /may name each reward once; got "x"/],
  [{ rewards: [{ weight: 1 }] }, 'alignment.rewards[0].name', /must be a string of at least 1 character; got nothing/],
  [{ rewards: [{ name: 'x', weight: '1' }] }, 'alignment.rewards[0].weight',
    /must be a number from -1000 to 1000; got "1"/],
  [{ reward: 'x', num_candidates: 0 }, 'alignment.num_candidates', /an integer from 1 to 128; got 0/],
  [{ reward: 'x', num_candidates: 129 }, 'alignment.num_candidates', /an integer from 1 to 128; got 129/],
  [{ reward: 'x', num_candidates: 2.5 }, 'alignment.num_candidates', /an integer from 1 to 128; got 2.5/],
  [{ reward: 'x', num_candidates: '8' }, 'alignment.num_candidates', /an integer from 1 to 128; got "8"/],
  [{ reward: 'x', selection: 'best' }, 'alignment.selection', /one of argmax, softmax, pessimistic, .*; got "best"/],
  [{ reward: 'x', strength: 2 }, 'alignment.strength',
    /is read by selection softmax and pessimistic only; the selection is argmax; got 2/],
  [{ reward: 'x', selection: 'threshold' }, 'alignment.min_reward', /is needed by selection threshold/],
  [{ reward: 'x', selection: 'softmax', min_reward: 1 }, 'alignment.min_reward',
    /is read by selection threshold only; the selection is softmax/],
  [{ reward: 'x', fallback: 'error' }, 'alignment.fallback', /is read by selection threshold only/],
  [{ reward: 'x', selection: 'majority', extract: 'first' }, 'alignment.extract',
    /one of text, last_line, last_number, boxed or an object; got "first"/],
  [{ reward: 'x', selection: 'majority', extract: {} }, 'alignment.extract.after',
    /must be a string of 1 to 64 characters; got nothing/],
  [{ strategy: 'best_of_n', selection: 'weighted_majority' }, 'alignment.reward', /is needed by best_of_n/],
  [{ strategy: 'best_of_n', selection: 'majority', stop_when: { min_reward: 1 } }, 'alignment.reward',
    /is needed by best_of_n/],
  [{ strategy: 'best_of_n', selection: 'mbr', stop_when: { leader_probability: 0.9 } }, 'alignment.reward',
    /is needed by best_of_n/],
  [{ reward: 'x', selection: 'mbr', similarity_weight: 2 }, 'alignment.similarity_weight',
    /is read by selection mbr_regularized only/],
  [{ strategy: 'dvts', selection: 'majority' }, 'alignment.reward', /is needed by dvts/],
  [{ reward: 'x', stop_when: {} }, 'alignment.stop_when',
    /must have exactly one of min_reward, leader_probability, majority_probability/],
  [{ reward: 'x', stop_when: { min_reward: 1, leader_probability: 0.9 } }, 'alignment.stop_when',
    /must have exactly one of/],
  [{ reward: 'x', stop_when: { leader_probability: 0.9, eager: true } }, 'alignment.stop_when.eager',
    /needs min_reward/],
  [{ reward: 'x', stop_when: { leader_probability: 0 } }, 'alignment.stop_when.leader_probability',
    /a number above 0 to 1; got 0/],
  [{ reward: 'x', stop_when: { majority_probability: 0.9 } }, 'alignment.stop_when.majority_probability',
    /needs selection majority or weighted_majority/],
  [{ reward: 'x', selection: 'majority', stop_when: { leader_probability: 0.9 } },
    'alignment.stop_when.leader_probability', /votes have majority_probability/],
  [{ strategy: 'speculative_rejection', reward: 'x', reject_fraction: 1 }, 'alignment.reject_fraction',
    /a number from 0 to below 1; got 1/],
  [{ strategy: 'speculative_rejection', reward: 'x', checkpoints: [16, 16] }, 'alignment.checkpoints',
    /must rise; got \[16,16\]/],
  [{ strategy: 'speculative_rejection', reward: 'x', checkpoints: [] }, 'alignment.checkpoints',
    /a list of 1 to 64 items, each an integer from 1 to 1048576; got \[\]/],
  [{ strategy: 'speculative_rejection', reward: 'x', checkpoints: [1.5] }, 'alignment.checkpoints',
    /each an integer from 1/],
  [{ strategy: 'beam_search', reward: 'x', strength: 2 }, 'alignment.strength', /is read with keep: sample only/],
  [{ strategy: 'beam_search', reward: 'x', step: { tokens: 4, delimiter: '.' } }, 'alignment.step',
    /must have exactly one of tokens, delimiter/],
  [{ strategy: 'rebase', reward: 'x', step: {} }, 'alignment.step',
    /must have exactly one of tokens, delimiter; got {}/],
  [{ strategy: 'dvts', reward: 'x', step: { delimiter: '' } }, 'alignment.step.delimiter', /a string of 1 to 64 characters; got ""/],
  [{ strategy: 'beam_search', reward: 'x', max_kl: 1 }, 'alignment.max_kl',
    /is a field of best_of_n and token_guidance, not of beam_search/],
  [{ reward: 'x', max_kl: 1 }, 'alignment.max_kl',
    /can be enforced with selection softmax only; the selection is argmax; got 1/],
  [{ reward: 'x', selection: 'softmax', max_kl: 1, stop_when: { min_reward: 2 } }, 'alignment.max_kl',
    /cannot be enforced with stop_when/],
  [{ reward: 'x', poisson_mean: 65 }, 'alignment.poisson_mean', /a number from 0 to 64 or null; got 65/],
  [{ reward: 'x', poisson_mean: 3, selection: 'softmax' }, 'alignment.poisson_mean',
    /needs selection argmax; the selection is softmax; got 3/],
  [{ reward: 'x', poisson_mean: 3, stop_when: { min_reward: 1 } }, 'alignment.poisson_mean',
    /cannot be given with stop_when/],
  [{ reward: 'x', poisson_mean: 7, num_candidates: 8 }, 'alignment.num_candidates',
    /must be at least 29 with poisson_mean 7, .* or be left out; got 8/],
  [{ strategy: 'particle_filter', reward: 'x', num_particles: 1, num_iterations: 2 }, 'alignment.num_iterations',
    /must be 1 with one particle.*; got 2/],
  [{ strategy: 'particle_filter', reward: 'x', num_iterations: 65 }, 'alignment.num_iterations',
    /an integer from 1 to 64; got 65/],
  [{ strategy: 'particle_filter', reward: 'x', ess_threshold: 1.5 }, 'alignment.ess_threshold',
    /a number from 0 to 1; got 1.5/],
  [{ strategy: 'segment_rejection', reward: 'x', segment: { entropy: 3, tokens: 8 } }, 'alignment.segment',
    /must have exactly one of entropy, tokens/],
  [{ strategy: 'segment_rejection', reward: 'x', strength: -1 }, 'alignment.strength',
    /a number from 0 to 1000; got -1/],
  [{ strategy: 'segment_rejection', reward: 'x', reward_scale: 'raw' }, 'alignment.target_reward',
    /is needed with reward_scale: raw/],
  [{ strategy: 'token_guidance', reward: 'x', outside: 'keep' }, 'alignment.transform',
    /must be centered with outside: keep.*; got "identity"/],
  [{ strategy: 'token_guidance', reward: 'x', method: 'gedi' }, 'alignment.method',
    /one of args, rad, fudge, .* or null; got "gedi"/],
  [{ strategy: 'token_guidance' }, 'alignment.reward', /is needed by token_guidance/],
  [{ strategy: 'token_guidance', reward: 'x', candidates: { top_k: 0 } }, 'alignment.candidates.top_k',
    /must be from 1 to 128 with source prefix/],
  [{ strategy: 'token_guidance', reward: 'x', method: 'q_head', source: 'prefix' }, 'alignment.source',
    /must be next_token with method q_head; got "prefix"/],
  [{ strategy: 'token_guidance', reward: 'x', method: 'args', source: 'next_token' }, 'alignment.source',
    /must be prefix with method args; got "next_token"/],
  [{ strategy: 'token_guidance', reward: 'x', method: 'q_head', allow_scope_mismatch: true },
    'alignment.allow_scope_mismatch', /is not read with source next_token/],
  [{ strategy: 'token_guidance', source: 'contrast' }, 'alignment.contrast',
    /must have toward, away or both with source contrast; got null/],
  [{ strategy: 'token_guidance', contrast: {} }, 'alignment.contrast', /must have toward, away or both/],
  [{ strategy: 'token_guidance', contrast: { toward: { sytem: 'x' } } }, 'alignment.contrast.toward.sytem',
    /did you mean system\?/],
  [{ strategy: 'token_guidance', reward: 'x', contrast: { toward: {} }, source: 'prefix' }, 'alignment.source',
    /must be contrast where alignment.contrast is given; got "prefix"/],
  [{ strategy: 'token_guidance', reward: 'x', contrast: { toward: {} } }, 'alignment.reward',
    /is not read with source contrast; got "x"/],
  [{ strategy: 'token_guidance', reward_scale: 'raw', contrast: { toward: {} } }, 'alignment.reward_scale',
    /is not read with source contrast/],
  [{ strategy: 'token_guidance', method: 'genarm', source: 'prefix', reward: 'x' }, 'alignment.source',
    /must be contrast with method genarm; got "prefix"/],
  [{ strategy: 'token_guidance', method: 'genarm', contrast: { toward: {}, away: {} } }, 'alignment.contrast',
    /must have toward, and not away, with method genarm/],
  [{ strategy: 'token_guidance', method: 'proxy_tuning', contrast: { toward: {} } }, 'alignment.contrast',
    /must have toward and away with method proxy_tuning/],
  [{
    strategy: 'token_guidance',
    contrast: { toward: {} },
    candidates: { top_k: 0 },
    outside: 'keep',
    transform: 'centered'
  }, 'alignment.outside', /must be mask with candidates.top_k 0/],
  [{ reward: 'x', num_candidate: 3 }, 'alignment.num_candidate', /did you mean num_candidates\?/],
  [{ reward: 'x', num_beams: 3 }, 'alignment.num_beams', /is a field of beam_search, not of best_of_n/],
  [{ reward: 'x', beam_width: 3 }, 'alignment.beam_width', /say num_beams \(kept\) and num_children/],
  [{ strategy: 'beam_search', reward: 'x', step: { tokens: 0 } }, 'alignment.step.tokens',
    /an integer from 1 to 4096; got 0/],
  [{ strategy: 'token_guidance', reward: 'x', candidates: { top_p: 0 } }, 'alignment.candidates.top_p',
    /a number above 0 to 1; got 0/],
  [{ strategy: 'token_guidance', reward: 'x', warmup_tokens: 0 }, 'alignment.warmup_tokens',
    /an integer from 1 to 1048576 or null; got 0/],
  [{ strategy: 'token_guidance', reward: 'x', max_kl: -1 }, 'alignment.max_kl',
    /a number from 0 to 1000000 or null; got -1/],
  [{ strategy: 'token_guidance', reward: 'x', max_kl: 1, draw: 'argmax' }, 'alignment.max_kl',
    /can be enforced with draw sample only; the draw is argmax; got 1/],
  [{ strategy: 'token_guidance', reward: 'x', max_kl: 0, method: 'args' }, 'alignment.max_kl',
    /can be enforced with draw sample only; the draw is argmax; got 0/],
  [JSON.parse('{"reward": "x", "__proto__": {"a": 1}}'), 'alignment.__proto__', /is not a field/]
]

for (const [value, param, message] of refused) {
  test(`${JSON.stringify(value)} is refused at ${param}`, () => {
    assert.throws(() => parseAlignment(value), (error: unknown) => {
      assert.ok(error instanceof RequestError)
      assert.equal(error.param, param)
      assert.match(error.message, message)
      assert.equal(error.status, 400)
      return true
    })
  })
}

test('a reward alone is best_of_n with its defaults', () => {
  assert.deepEqual(parseAlignment({ reward: 'x' }), {
    strategy: 'best_of_n',
    rewards: [{ name: 'x', weight: 1 }],
    reward_scale: 'standardized',
    max_generated_tokens: null,
    deadline_ms: null,
    return_candidates: false,
    return_progress: false,
    return_trace: false,
    num_candidates: 8,
    poisson_mean: null,
    selection: 'argmax',
    strength: 1,
    min_reward: null,
    fallback: 'best',
    logprob_weight: 0.1,
    similarity_weight: 1,
    extract: 'text',
    max_kl: null,
    stop_when: null
  })
})

test('defaults are filled in at every depth, and null means absent', () => {
  const guided =
    parseAlignment({ strategy: 'token_guidance', rewards: [{ name: 'x' }], candidates: { top_k: 5 }, strength: null })
  assert.ok(guided.strategy === 'token_guidance')
  assert.deepEqual(guided.candidates, { top_k: 5, top_p: 1 })
  assert.deepEqual(guided.rewards, [{ name: 'x', weight: 1 }])
  assert.equal(guided.strength, 1)
  const absent = { num_beams: null, contrast: null, beam_width: null, unknown: null }
  assert.deepEqual(parseAlignment({ reward: 'x', ...absent }), parseAlignment({ reward: 'x' }))
})

test('fan-out counts sequences, and answers grown count tokens', () => {
  const of = (value: object): ReturnType<typeof parseAlignment> => parseAlignment({ reward: 'x', ...value })
  assert.deepEqual([fanOut(null, 3), answersGrown(null, 3), probed(null)], [3, 3, 0])
  assert.deepEqual([fanOut(of({ num_candidates: 16 }), 2), answersGrown(of({ num_candidates: 16 }), 2)], [16, 16])
  const beams = of({ strategy: 'beam_search', num_beams: 3, num_children: 5 })
  assert.deepEqual([fanOut(beams, 1), answersGrown(beams, 1)], [15, 15])
  const guided = of({ strategy: 'token_guidance', candidates: { top_k: 10 } })
  assert.deepEqual([fanOut(guided, 2), answersGrown(guided, 2), probed(guided)], [2, 2, 10])
  const contrast = parseAlignment({ strategy: 'token_guidance', contrast: { toward: { system: 's' }, away: {} } })
  assert.deepEqual([fanOut(contrast, 2), answersGrown(contrast, 2), probed(contrast)], [6, 6, 0])
  const ahead = of({ strategy: 'beam_search', num_beams: 3, num_children: 5, step: { tokens: 4 }, lookahead_tokens: 6 })
  assert.deepEqual([fanOut(ahead, 1), answersGrown(ahead, 1)], [30, 45])
  const few = of({ num_candidates: 16, stop_when: { min_reward: 1 } })
  assert.deepEqual([fanOut(few, 1), answersGrown(few, 1)], [5, 16])
  const passes = of({ strategy: 'particle_filter', num_particles: 6, num_iterations: 3 })
  assert.deepEqual([fanOut(passes, 1), answersGrown(passes, 1)], [7, 18])
  const segments = of({ strategy: 'segment_rejection', max_tries: 5 })
  assert.deepEqual([fanOut(segments, 2), answersGrown(segments, 2)], [6, 10])
})

test('a strategy refuses more choices than it can return', () => {
  assert.throws(() => checkChoices(parseAlignment({ reward: 'x', num_candidates: 2 }), 3),
    /n must be at most alignment.num_candidates = 2; got 3/)
  assert.throws(() => checkChoices(parseAlignment({ strategy: 'beam_search', reward: 'x' }), 2),
    /n must be 1 with beam_search/)
  assert.throws(() => checkChoices(parseAlignment({ reward: 'x', selection: 'pessimistic' }), 2),
    /n must be 1 with selection pessimistic/)
  assert.throws(() => checkChoices(parseAlignment({ reward: 'x', stop_when: { min_reward: 1 } }), 2),
    /n must be 1 with stop_when/)
  assert.throws(() => checkChoices(parseAlignment({ reward: 'x', poisson_mean: 9 }), 2),
    /n must be 1 with poisson_mean/)
  checkChoices(parseAlignment({ strategy: 'segment_rejection', reward: 'x' }), 8)
  checkChoices(parseAlignment({ reward: 'x' }), 8)
})

test('KL is bounded where tokens are drawn, so not at temperature 0', () => {
  const bounded = parseAlignment({ strategy: 'token_guidance', reward: 'x', max_kl: 2 })
  assert.throws(() => checkTemperature(bounded, 0),
    /alignment.max_kl can be enforced with a temperature above 0 only; the temperature is 0; got 2/)
  checkTemperature(bounded, 0.1)
  checkTemperature(parseAlignment({ strategy: 'token_guidance', reward: 'x', method: 'args' }), 0)
  checkTemperature(parseAlignment({ reward: 'x', selection: 'softmax', max_kl: 2 }), 0)
  checkTemperature(null, 0)
})
