import { useEffect, useState } from 'react'

/** A value that follows once it has rested for a while. */
export function useLater<T>(value: T, ms = 200): T {
  const [later, setLater] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setLater(value), ms)
    return () => clearTimeout(timer)
  }, [value, ms])
  return later
}
