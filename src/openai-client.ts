/**
 * `import 'fairlead/openai'`: lets the types of the `openai` package know `alignment`, in requests and in answers.
 * Types only: at run time the package sends and keeps the field as it is.
 */
import type {} from 'openai/resources/chat/completions/completions'
import type {} from 'openai/resources/completions'
import type {} from 'openai/resources/responses/responses'
import type {
  AlignmentDetails, AlignmentParams, AlignmentProgress, AlignmentReport, ChoiceAlignment
} from './api/alignment/alignment-types.js'

declare module 'openai/resources/chat/completions/completions' {
  interface ChatCompletionCreateParamsBase { alignment?: AlignmentParams | null }
  interface ChatCompletion { alignment?: AlignmentReport }
  interface ChatCompletionChunk { alignment?: AlignmentReport | AlignmentProgress }
  namespace ChatCompletion { interface Choice { alignment?: ChoiceAlignment } }
  namespace ChatCompletionChunk { interface Choice { alignment?: ChoiceAlignment } }
}

declare module 'openai/resources/completions' {
  interface CompletionCreateParamsBase { alignment?: AlignmentParams | null }
  interface CompletionUsage { alignment_details?: AlignmentDetails }
  /** With several prompts, a list in their order. */
  interface Completion { alignment?: AlignmentReport | ReadonlyArray<AlignmentReport | null> }
  interface CompletionChoice { alignment?: ChoiceAlignment }
}

declare module 'openai/resources/responses/responses' {
  interface ResponseCreateParamsBase { alignment?: AlignmentParams | null }
  interface ResponsesClientEvent { alignment?: AlignmentParams | null }
  interface Response { alignment?: AlignmentReport, dropped_messages?: number }
  interface ResponseOutputMessage { alignment?: ChoiceAlignment }
  interface ResponseFunctionToolCall { alignment?: ChoiceAlignment }
  interface ResponseUsage { alignment_details?: AlignmentDetails }
}
