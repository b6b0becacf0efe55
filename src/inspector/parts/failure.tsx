/** What went wrong, in the server's words, and what to do now. */
import { adviceOf } from '../logic/error-texts.js'
import { ApiFailure } from '../server/http.js'

/** @param shown a field's name where its message stands below it already */
export function Failure ({ failure }: { readonly failure: ApiFailure }) {
  const advice = adviceOf(failure, location.origin)
  const isNetwork = failure.code === 'network'
  return (
    <div class='banner bad' role='alert'>
      {!isNetwork && <p><strong>{failure.code}</strong> {failure.message}</p>}
      {advice !== null && <p>{advice}</p>}
      {failure.requestId !== null && <p class='small'>request {failure.requestId}</p>}
    </div>
  )
}
