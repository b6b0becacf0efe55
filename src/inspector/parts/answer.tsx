/** Text that a model wrote: always text, its direction its own, what would not be seen shown. */
import { tokenText, visible } from '../logic/formats.js'

export function Answer ({ text }: { readonly text: string }) {
  if (text === '') return <span class='answer muted'>no text</span>
  if (text.trim() === '') return <span class='answer muted'>white space only: {tokenText(text)}</span>
  return <bdi class='answer' dir='auto'>{visible(text)}</bdi>
}
