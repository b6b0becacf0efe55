/** Fields of requests that engines may not know; one that has no effect is refused by this name. */
export const engineFields = ['seed', 'top_k', 'top_p', 'min_p', 'logit_bias', 'stop', 'stop_token_ids', 'min_tokens',
  'frequency_penalty', 'presence_penalty', 'top_logprobs', 'structured_outputs'] as const
export type EngineField = typeof engineFields[number]
