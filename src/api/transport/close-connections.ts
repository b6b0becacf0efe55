/** Every connection ends at once, whether or not its caller has read what was sent. */
import type { FastifyInstance } from 'fastify'

/** Node no longer counts a WebSocket among its connections: those are ended apart. */
export function cutOff ({ server, websocketServer }: FastifyInstance): void {
  server.closeAllConnections()
  for (const socket of websocketServer.clients) socket.terminate()
}
