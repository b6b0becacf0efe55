/**
 * Connections on which nothing ever came: browsers and pools open some in advance. Node does not count them as idle,
 * and a server that closes would wait for them.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** To be called before the server listens. @returns what closes those there are */
export function watchSilentConnections (server: Server): () => void {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => { open.delete(socket) })
  })
  return () => {
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy()
  }
}
