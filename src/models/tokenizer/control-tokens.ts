/**
 * Which tokens of a vocabulary no caller's text becomes, and which end an answer, whatever a file calls them: files
 * often mark them wrongly.
 */
import type { AddedToken } from './added-tokens.js'

/** As the texts of control tokens look in every family. */
const marked = /^<[|｜].*[|｜]>$/s
/** Texts of control tokens that a vocabulary may also hold as words: they count where they were added to it. */
const named = /^<\/?(?:s|bos|eos|pad|unk|mask|EOT|start_of_turn|end_of_turn|end_of_utterance)>$|^\[\/?[A-Z_]+\]$/

/** Whether a token is a control token by its text. @param isAdded whether it was added beside the merged ones */
export const looksControl = (text: string, isAdded: boolean): boolean =>
  marked.test(text) || (isAdded && named.test(text))

/** Control tokens that end an answer in the families served, whatever their files say. As in llama.cpp. */
const usualEnds: ReadonlySet<string> = new Set(['<|im_end|>', '<|endoftext|>', '<|eot_id|>', '<|eom_id|>',
  '<|end_of_text|>', '<|end|>', '<|eot|>', '<|eom|>', '<|end_of_turn|>', '<|return|>', '<end_of_turn>',
  '<end_of_utterance>', '<EOT>', '[EOS]', '[EOT]', '</s>', '<eos>', '<｜end▁of▁sentence｜>'])

/** Ids of the tokens that end an answer. @param given as the file says */
export const endTokens = (given: readonly number[], added: readonly AddedToken[]): number[] =>
  [...new Set([...given, ...added.flatMap(({ id, content, control }) =>
    control && usualEnds.has(content) ? [id] : [])])]
