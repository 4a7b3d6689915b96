import { api, body, session } from './client'
import { Live, type Wire, type World } from './live'
import { place } from '@/app/place'

const world: World = {
  async open(): Promise<Wire> {
    const { ticket } = await body(api.POST('/api/v1/auth/ws-ticket'))
    const address = place(`api/v1/ws?ticket=${encodeURIComponent(ticket)}`).replace(/^http/, 'ws')
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(address, 'agentstudio')
      const wire: Wire = {
        send: (text) => {
          if (socket.readyState === WebSocket.OPEN) socket.send(text)
        },
        close: () => socket.close(),
        onmessage: () => {},
        onclose: () => {},
      }
      socket.onopen = () => resolve(wire)
      socket.onmessage = (e) => wire.onmessage(String(e.data))
      socket.onclose = (e) => {
        reject(new Error('closed'))
        wire.onclose(e.code)
      }
    })
  },
  later(run, ms) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
  random: Math.random,
}

export const live = new Live(world)

addEventListener('online', () => live.hurry())
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) live.hurry()
})
session.subscribe(() => {
  if (session.user === null) live.stop()
})
