/**
 * What callers send and get, as TypeScript types: OpenAI's objects as Fairlead answers them, and the fields of its own. Types only; what
 * is sent follows from the schemas that check it.
 */
export type * from './types/alignment.js'
export type * from './types/chat.js'
export type * from './types/responses.js'
export type * from './types/rewards.js'
