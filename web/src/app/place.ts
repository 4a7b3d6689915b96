/** The path under which the studio stands, with a slash at both ends. */
export const root = new URL(document.baseURI).pathname.replace(/[^/]*$/, '')

/** The full address of something of this server: place('api/v1/ws'). */
export function place(path: string): string {
  return new URL(path, new URL(root, location.origin)).toString()
}

interface About {
  version: string
  mail: boolean
}

/** What the server has written into the page. */
export const about: About = (() => {
  const text = document.querySelector('meta[name="studio"]')?.getAttribute('content')
  try {
    return { version: 'dev', mail: true, ...(JSON.parse(text ?? '{}') as Partial<About>) }
  } catch {
    return { version: 'dev', mail: true }
  }
})()
