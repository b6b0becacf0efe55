/**
 * Reads no more of a connection, not even the rest of the packet at hand. That Node's parser can be paused is not
 * documented: where it cannot, the rest of the packet is read.
 */
import type { Socket } from 'node:net'

/** The code of the error that Node then gives to `clientError`. */
export const stoppedReading = 'HPE_PAUSED'

export function stopReading (socket: Socket): void {
  socket.pause()
  const { parser } = socket as Socket & { readonly parser?: { pause?(): void } | null }
  parser?.pause?.()
}
