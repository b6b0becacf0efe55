/** Text that a model wrote: always text, its direction its own, control characters shown. */
import { visible } from '../logic/formats.js'

export function Answer ({ text }: { readonly text: string }) {
  return <bdi class='answer' dir='auto'>{visible(text)}</bdi>
}
