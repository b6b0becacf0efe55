/** Sampling parameters by vLLM's names, which its endpoints share. Its order of filters is that of Fairlead. */
import type { EngineCall } from '../engine-call.js'

/** What is said to the plugin of integrations/vllm. */
export function pluginArguments (
  { heads, strengths, topK, answerTokens, sums }: NonNullable<EngineCall['guidance']>
): Record<string, unknown> {
  return {
    fairlead_guide: heads,
    fairlead_strength: strengths,
    fairlead_top_k: topK,
    ...(answerTokens === 0 ? {} : { fairlead_answer_tokens: answerTokens, fairlead_sums: sums })
  }
}

/**
 * Only what differs from doing nothing is sent: what an engine does not know it may ignore. Its own end tokens are
 * off, and the answer's end tokens are given as stop tokens: where an answer ends, the tokenizer here says.
 */
export function vllmSampling (
  { sampling, seed, maxTokens, minTokens, stops, endTokens, structure, heads, interval }: EngineCall
): Record<string, unknown> {
  const {
    temperature, topP, topK, minP, frequencyPenalty, presencePenalty, repetitionPenalty, logitBias
  } = sampling
  return {
    max_tokens: maxTokens,
    temperature,
    // Explicit, since a model's generation_config.json may bring other defaults.
    top_p: topP,
    top_k: topK,
    min_p: minP,
    frequency_penalty: frequencyPenalty,
    presence_penalty: presencePenalty,
    repetition_penalty: repetitionPenalty,
    seed,
    ignore_eos: true,
    stop_token_ids: endTokens,
    ...(interval > 1 ? { stream_interval: interval } : {}),
    ...(minTokens > 0 ? { min_tokens: minTokens } : {}),
    ...(stops.length > 0 ? { stop: stops } : {}),
    ...(Object.keys(logitBias).length > 0 ? { logit_bias: logitBias } : {}),
    ...(heads === null ? {} : { logprob_token_ids: heads.tokens }),
    ...(structure === null ? {} : { structured_outputs: structuredOutputs(structure) })
  }
}

const structuredOutputs = (structure: NonNullable<EngineCall['structure']>): object =>
  structure.type === 'json' ? { json: structure.schema } : { grammar: structure.text }
