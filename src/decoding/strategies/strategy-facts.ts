/** What each strategy is, in words, what it needs and what it costs. Their parameters are in `strategy-schemas.ts`. */
import type { PolicyCapabilities } from '../../policies/policy.js'
import type { RewardMember } from '../../rewards/scorer.js'
import type { ChoosingParams, methodPresets, ParametersOf, StepParams, StrategyName } from './strategy-schemas.js'

/** What a strategy may need of the policy beyond drawing tokens. */
export interface PolicyNeed<P> {
  readonly capability: keyof PolicyCapabilities
  /** When it needs that, in words and as a check; absent: always. */
  readonly when?: { readonly words: string, readonly holds: (params: P) => boolean }
}

interface StrategyFacts<N extends StrategyName> {
  readonly summary: string
  readonly formula: string
  readonly source: string
  /** When to use it. */
  readonly use: string
  /** Tokens drawn and read, against one plain answer. */
  readonly cost: string
  readonly needs: ReadonlyArray<PolicyNeed<ParametersOf<N>>>
  /** Which member of a reward it asks for. */
  readonly member: (params: ParametersOf<N>) => RewardMember
  /** Sequences open at the same time, at most: for one choice, or for all where they share candidates. */
  readonly fanOut: (params: ParametersOf<N>) => number
  /** Tokens that may come next in a sequence and are looked at together, at most. Default none. */
  readonly probed?: (params: ParametersOf<N>) => number
  /**
   * Answers of full length that it may draw or read to score, at most, counted as fanOut is: what the operator's
   * ceiling counts.
   */
  readonly grown: (params: ParametersOf<N>) => number
  /** Whether all choices come from the same candidates, rather than each from its own. */
  readonly sharesChoices: boolean
}

/** Times that look-aheads multiply the tokens of a step, at most. */
const lookAheadFactor = ({ step, lookahead_tokens: ahead }: { step: StepParams, lookahead_tokens: number }): number =>
  1 + Math.ceil(ahead / (step.tokens ?? 1))
/** A look-ahead forks what it reads. */
const lookAheadForks = (tokens: number): number => tokens > 0 ? 2 : 1

/** Contexts that an answer is also read in, by the policy or by any model. */
function contexts (contrast: ParametersOf<'token_guidance'>['contrast'], by: 'policy' | 'any'): number {
  return Object.values(contrast ?? {})
    .filter(context => context !== null && (by === 'any' || context.model === undefined)).length
}

/** An answer goes on where it was left: under a grammar, not every engine can. */
const continues: PolicyNeed<unknown> = { capability: 'constrainedContinuation' }
const comparing: PolicyNeed<Pick<ChoosingParams, 'selection'>> = {
  capability: 'hiddenStates',
  when: {
    words: 'with selection mbr or mbr_regularized',
    holds: ({ selection }) => selection === 'mbr' || selection === 'mbr_regularized'
  }
}

export const strategyFacts: { readonly [N in StrategyName]: StrategyFacts<N> } = {
  best_of_n: {
    summary: 'samples several answers and returns the one with the highest reward',
    formula: 'argmax r(y_i), or another selection',
    source: 'Stiennon et al. 2020 (arXiv 2009.01325); Best-of-Poisson: Khalaf et al. 2025 (arXiv 2506.19248)',
    use: 'start here; works with any reward',
    cost: 'num_candidates answers',
    needs: [comparing, {
      ...continues,
      when: {
        words: 'with stop_when.eager or max_generated_tokens',
        holds: ({ stop_when: stop, max_generated_tokens: max }) => stop?.eager === true || max !== null
      }
    }],
    member: () => 'outcome',
    fanOut: ({ stop_when: stop, num_candidates: max }) =>
      stop && !stop.eager && stop.every < max ? stop.every + 1 : max,
    grown: params => params.num_candidates,
    sharesChoices: true
  },
  speculative_rejection: {
    summary: 'samples answers, rejects the worst at checkpoints, returns the best of the rest',
    formula: 'after t₁ < t₂ < … tokens keep the best 1 − reject_fraction by r(y≤t)',
    source: 'Sun et al. 2024 (arXiv 2410.20290), at fixed checkpoints',
    use: 'most of best_of_n’s gain for fewer tokens; needs a reward that ranks prefixes',
    cost: 'num_candidates · (t₁ + q (t₂ − t₁) + q² (t₃ − t₂) + …) tokens, q = 1 − reject_fraction: half of ' +
      'best_of_n’s tokens for answers of 48 tokens, a quarter for 128',
    needs: [continues],
    member: () => 'prefix',
    fanOut: params => params.num_candidates,
    grown: params => params.num_candidates,
    sharesChoices: true
  },
  beam_search: {
    summary: 'extends beams by sampled steps and keeps the prefixes with the highest reward',
    formula: 'the best num_beams of num_beams · num_children prefixes by r(y≤t)',
    source: 'Snell et al. 2024 (arXiv 2408.03314); one beam, blockwise: Mudgal et al. 2023 (arXiv 2310.17022)',
    use: 'steers harder than best_of_n; needs a reward that is accurate on prefixes',
    cost: 'num_beams · num_children answers',
    needs: [continues],
    member: () => 'prefix',
    fanOut: params => params.num_beams * params.num_children * lookAheadForks(params.lookahead_tokens),
    grown: params => params.num_beams * params.num_children * lookAheadFactor(params),
    sharesChoices: true
  },
  dvts: {
    summary: 'searches independent trees with one beam each, then selects among their answers',
    formula: 'argmax r(y≤t) over num_children in each tree; then a selection',
    source: 'Beeching et al. 2024 (Scaling test-time compute with open models)',
    use: 'beam search with diverse answers; voting',
    cost: 'num_trees · num_children answers',
    needs: [continues, comparing],
    member: () => 'prefix',
    fanOut: params => params.num_trees * params.num_children * lookAheadForks(params.lookahead_tokens),
    grown: params => params.num_trees * params.num_children * lookAheadFactor(params),
    sharesChoices: true
  },
  rebase: {
    summary: 'searches a tree of fixed width that gives better prefixes more children',
    formula: 'in order of reward, ⌈W · exp(r/T) / S⌉ children, where W and S are what remains',
    source: 'Wu et al. 2024 (arXiv 2408.00724)',
    use: 'between best_of_n and beam_search: near ties are not pruned outright',
    cost: 'width answers',
    needs: [continues, comparing],
    member: () => 'prefix',
    fanOut: params => params.width,
    grown: params => params.width,
    sharesChoices: true
  },
  particle_filter: {
    summary: 'resamples particles in proportion to the growth of their reward',
    formula: 'w ← w · exp(strength · (r(y≤t) − r(y≤t−1))); targets π(y) · exp(strength · r(y))',
    source: 'Puri et al. 2025 (arXiv 2502.01618); twisted: Zhao et al. 2024 (arXiv 2404.17546); particle Gibbs: ' +
      'Andrieu, Doucet and Holenstein 2010',
    use: 'samples from the tilted policy instead of its mode',
    cost: 'num_particles answers, num_iterations times',
    needs: [continues],
    member: () => 'prefix',
    // The prompt stays open for the passes to come.
    fanOut: params => params.num_particles + (params.num_iterations > 1 ? 1 : 0),
    grown: params => params.num_particles * params.num_iterations,
    sharesChoices: true
  },
  segment_rejection: {
    summary: 'samples one answer segment by segment and resamples segments below a rising threshold',
    formula: 'accept with probability min(1, exp(strength · (r(y≤t) − τ(t))))',
    source: 'CARDS: Li et al. 2024 (arXiv 2406.16306)',
    use: 'few tokens; text streams as segments are accepted',
    cost: '1 to max_tries answers',
    needs: [continues, {
      capability: 'distributions',
      when: { words: 'with segment.entropy', holds: ({ segment }) => segment.entropy !== undefined }
    }],
    member: () => 'prefix',
    fanOut: () => 3,
    grown: params => params.max_tries,
    sharesChoices: false
  },
  token_guidance: {
    summary: 'samples each token from a distribution reweighted by the value of each candidate token',
    formula: 'log π(v) + strength · g(value of v) over the candidates v; the value is r(y≤t v), read or predicted, ' +
      'or ln π(v | toward) − ln π(v | away)',
    source: 'ARGS: Khanov et al. 2024 (arXiv 2402.01694); RAD: Deng and Raffel 2023 (arXiv 2310.09520); FUDGE: Yang ' +
      'and Klein 2021 (arXiv 2104.05218); CD: Mudgal et al. 2023; VAS: Han et al. 2024 (arXiv 2405.06639); ' +
      'contrast: DExperts (Liu et al. 2021, arXiv 2105.03023), proxy-tuning (Liu et al. 2024, arXiv 2401.08565), ' +
      'GenARM (Xu et al. 2024, arXiv 2410.08193)',
    use: 'one text stream, steered at every token; exact KL and max_kl when tokens are sampled',
    cost: 'one answer, plus top_k candidates per token, read only up to the reward’s layer; with source next_token ' +
      'about a plain answer; with contrast one more pass per context',
    needs: [{
      capability: 'alternatives',
      when: { words: 'unless source is next_token', holds: ({ source }) => source !== 'next_token' }
    }, {
      capability: 'distributions',
      when: {
        words: 'with candidates.top_k 0, outside keep or max_kl, unless source is next_token',
        holds: ({ source, candidates, outside, max_kl: maxKl }) =>
          source !== 'next_token' && (candidates.top_k === 0 || outside === 'keep' || maxKl !== null)
      }
    }, {
      capability: 'qHeads',
      when: { words: 'with source next_token', holds: ({ source }) => source === 'next_token' }
    }],
    member: ({ source }) => source === 'next_token' ? 'next_token' : 'prefix',
    fanOut: ({ contrast }) => 1 + contexts(contrast, 'policy'),
    probed: ({ source, candidates }) => source === 'prefix' ? candidates.top_k : 0,
    grown: ({ contrast }) => 1 + contexts(contrast, 'any'),
    sharesChoices: false
  }
}

/** Rules that choose among finished answers: definition and source. */
export const selectionFacts: Readonly<Record<ChoosingParams['selection'], readonly [rule: string, source: string]>> = {
  argmax: ['the highest reward', ''],
  softmax: ['sampled with P(i) ∝ exp(strength · r_i); approaches policy · exp(strength · r) as n grows',
    'soft best-of-N: Verdun et al. 2025 (arXiv 2505.03156)'],
  pessimistic: ['answers are tried in order and accepted with probability w_i / max w, where w_i = max(0, strength · ' +
    'r_i − λ) has mean 1: weights grow linearly, which limits reward hacking',
  'inference-time pessimism: Huang et al. 2025 (arXiv 2503.21878)'],
  threshold: ['the highest reward if it is at least min_reward, else the fallback', ''],
  kl_regularized: ['argmax r_i + logprob_weight · ln π(y_i)', 'Jinnai et al. 2024 (arXiv 2404.01054)'],
  mbr: ['argmax Σ_j sim(y_i, y_j), the answer most similar to the others; in best_of_n it needs no reward. sim is ' +
    'the cosine similarity of mean hidden states at the middle layer', 'minimum Bayes risk: Kumar and Byrne 2004'],
  mbr_regularized: ['argmax r_i + similarity_weight · mean_j sim(y_i, y_j)', 'Jinnai et al. 2024 (arXiv 2404.01054)'],
  majority: ['the most frequent answer; in best_of_n it needs no reward',
    'self-consistency: Wang et al. 2022 (arXiv 2203.11171)'],
  weighted_majority: ['the answer with the largest sum of rewards over its votes', 'Li et al. 2022 (arXiv 2206.02336)']
}

/** Methods of token guidance in words: the defaults they set. */
export const methodFacts: Readonly<Record<keyof typeof methodPresets, string>> = {
  args: 'ARGS-greedy: the best of the 10 most probable tokens; falls back to an outcome reward on prefixes, with ' +
    'a warning',
  rad: 'RAD: needs a reward between 0 and 1 (a probability)',
  fudge: 'FUDGE: log σ of a classifier’s log-odds, over the 10 most probable tokens (the paper reduces 200 to 10 ' +
    'after adding)',
  cd: 'controlled decoding, token-wise',
  vas: 'VAS: values centred over the candidates; other tokens keep value 0',
  q_head: 'a Q-head predicts the effect of each of the 64 most probable tokens on the reward, at the speed of plain ' +
    'sampling; needs a reward with a next_token member',
  genarm: 'GenARM: ln π + strength · ln π in the context toward, over all tokens, divided by the temperature; a ' +
    'context is another model, or stands in for one',
  proxy_tuning: 'proxy-tuning and DExperts: ln π + strength · (ln π toward − ln π away), over the top-p 0.9 tokens, ' +
    'divided by the temperature; contexts are other models, or stand in for them'
}
