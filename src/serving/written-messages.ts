/** Conversations as text alone, calls and their results written out: for those who keep them and know no templates. */
export { writtenMessages } from '../models/tokenizer/tool-messages.js'
