/** Messages between the inference thread and the prompt thread (`prompt-thread.ts`, `prompt-worker.ts`). */
import type { RequestErrorData } from '../errors.js'
import type { TemplateSources } from '../models/tokenizer/chat-template.js'
import type { PromptJobName } from './prompt-jobs.js'

/** What a model's texts are read with: where its tokenizer is, and its chat templates. */
export interface PromptSource {
  /** Of its file or folder. */
  readonly path: string
  readonly templates: TemplateSources
  readonly contextLength: number
}

/** One job: the next is sent when it is done. @property model index of the source */
export interface PromptTask { readonly model: number, readonly name: PromptJobName, readonly input: unknown }

/** How a job ended: with its output, an error that its caller can act on, or a bug. */
export type PromptReply =
  | { readonly output: unknown }
  | { readonly error: RequestErrorData }
  | { readonly failed: string }
