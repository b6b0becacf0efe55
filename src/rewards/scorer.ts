/**
 * The seam between rewards and everything that uses them. Types only. A reward's public name is a family whose members
 * (outcome, prefix, next token) share a meaning; whoever needs a score asks for the member it needs.
 */
import type { States } from '../engine/sequence.js'
import type { TemplateMessage } from '../models/tokenizer/tool-messages.js'

/** What a member that scores answers was made for: whole ones, or any prefix of one. */
export type AnswerMember = 'outcome' | 'prefix'

/** What a member was made to score: answers, or every next token of one. */
export type RewardMember = AnswerMember | 'next_token'

/** One chat message. Where calls and results matter to nobody, as in prompts that are scored, it is text alone. */
export type ChatMessage = TemplateMessage

/** A rendered prompt. */
export interface Prompt {
  readonly messages: readonly ChatMessage[]
  readonly text: string
  /** The policy's tokens of `text`, at least one. */
  readonly tokens: readonly number[]
}

/** What heads that another server computes say of one answer, by their names. */
export interface HeadValues {
  /** The mean over the answer's tokens, of which there is one at least. */
  mean (head: string): Promise<number>
  /** At the last token, or at one more that is read for that. */
  last (head: string, token: number | null): Promise<number>
}

/** One answer, or a prefix of one, as it stands. */
export interface Answer {
  /** Text of the answer without template, end tokens and stop string. */
  readonly text: string
  /** The answer's tokens without end tokens. */
  readonly tokens: readonly number[]
  /** True when the answer is finished: nothing will be added. */
  readonly final: boolean
  /** The policy's hidden states after prompt and answer, of the layers that the scorer asked for: what heads read. */
  readonly states: States
  /** Absent where no other server computes heads for this request. */
  readonly heads?: HeadValues
  /** Those after one token more, which is read to score and stays out of the answer. */
  after (token: number): Promise<States>
}

/** One member's score of one answer. */
export interface MemberScore {
  /**
   * As the member computes it: a logit for heads, a count or a share for rules, the combination of standardised scores
   * for ensembles.
   */
  readonly raw: number
  /** (raw − mean) / standard deviation over the member's stored reference pool of the policy's own answers. */
  readonly standardized: number
  /** Of an ensemble: how far its scorers are apart, as the standard deviation of their standardised scores. */
  readonly std?: number
  /** Of a process reward: the probability that each step is right. */
  readonly steps?: readonly number[]
}

/** A Q-head of the policy's own server, by which it guides tokens as it draws them. */
export interface GuideElsewhere {
  /** What it is called there. */
  readonly head: string
  /** What its standardised value is multiplied with in a score. */
  readonly factor: number
}

/** A score as strategies use it: the weighted sum over the rewards of a request. */
export interface Score {
  /** Σ weight · standardized (or raw, if the request says so). */
  readonly value: number
  /** Per reward name. */
  readonly rewards: Readonly<Record<string, MemberScore>>
}

/**
 * A scorer of answers to one prompt. Stateless per answer for heads and rules; kinds with their own KV read the
 * answer's text.
 */
export interface Scorer {
  /** Which members are used, for the response. */
  readonly used: ReadonlyArray<{
    readonly name: string, readonly member: RewardMember, readonly version: string, readonly weight: number
  }>
  /** Layers of the policy's hidden states that must be asked for when the sequence is opened. */
  readonly layers: readonly number[]
  /** Scores answers, in order. Fails with `scorer_failed` where a score is not a finite number. */
  score (prompt: Prompt, answers: readonly Answer[]): Promise<Score[]>
  /**
   * What an answer would score with each of some tokens more, in order, on the same scale. Of next-token members only.
   * Fails as `score` does.
   */
  scoreNext (answer: Answer, tokens: readonly number[]): number[]
  /** Of next-token members that the policy's own server has, in place of `scoreNext`. Absent: none is. */
  readonly guides?: readonly GuideElsewhere[]
  /**
   * The most that the value of an answer can still become that begins with a text; infinite, as where this is absent,
   * where nothing is known before the end.
   */
  ceiling? (text: string): number
}
