/**
 * What callers send and get, as TypeScript types: OpenAI's objects as Fairlead answers them, and the fields of its own.
 * Types only; what is sent follows from the schemas that check it.
 */
export type * from './alignment/alignment-types.js'
export type * from './chat/chat-types.js'
export type * from './responses/response-types.js'
export type * from './rewards/reward-types.js'
