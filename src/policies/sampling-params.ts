/** How a request wants its tokens drawn. */

/**
 * Temperatures below it are read as 0, their limit: the engine sums tempered probabilities in float32, and with logits
 * about 100 those of near ties are off by 0.4 % here, by 5 % at a tenth of it. Far below, logits over the temperature
 * overflow.
 */
export const minTemperature = 0.001

/** How tokens are drawn; the request's own fields, defaults filled in. */
export interface SamplingParams {
  /** 0, greedy, or [minTemperature, 2]. */
  readonly temperature: number
  /** (0, 1]; 1 is off. */
  readonly topP: number
  /** ≥ 1, or 0 for off. */
  readonly topK: number
  /** [0, 1]; 0 is off. */
  readonly minP: number
  /** [−2, 2], over tokens of the answer. */
  readonly frequencyPenalty: number
  /** [−2, 2], over tokens of the answer. */
  readonly presencePenalty: number
  /** > 0; 1 is off; over tokens of prompt and answer. */
  readonly repetitionPenalty: number
  /** Added to logits, by token id. */
  readonly logitBias: Readonly<Record<number, number>>
  /** Answer length limit in tokens, ≥ 1. */
  readonly maxTokens: number
  /** End tokens are masked before this many answer tokens, ≥ 0. */
  readonly minTokens: number
  /** Stop sequences; the answer ends before the first. */
  readonly stop: readonly string[]
  /** Extra end tokens of the request. */
  readonly stopTokenIds: readonly number[]
  /** End tokens do not end the answer. */
  readonly ignoreEos: boolean
  /** The stop string, or the text of the end token, is part of the answer's text. */
  readonly includeStop: boolean
  /** How many alternatives to report per token, 0–20, or null for no logprobs. */
  readonly topLogprobs: number | null
}

/** The policy as it is: temperature 1, nothing filtered, up to an end token. */
export const plainSampling: Omit<SamplingParams, 'maxTokens'> = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  logitBias: {},
  minTokens: 0,
  stop: [],
  stopTokenIds: [],
  ignoreEos: false,
  includeStop: false,
  topLogprobs: null
}

/** Whether tokens are penalised for what the answer alone holds: for that it must be known where the answer begins. */
export const isPenalized = (
  { frequencyPenalty, presencePenalty }: Pick<SamplingParams, 'frequencyPenalty' | 'presencePenalty'>
): boolean => frequencyPenalty !== 0 || presencePenalty !== 0
