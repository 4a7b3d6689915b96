export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden>
      <rect width="32" height="32" rx="8" fill="#ea580c" />
      <path d="M9 21.5 14 11l4.2 8.2L21 14" fill="none" stroke="#fff" strokeWidth="2.4" strokeLinecap="round" strokeLinejoin="round" />
      <circle cx="9" cy="21.5" r="2.4" fill="#fff" />
      <circle cx="22.4" cy="11.4" r="2.4" fill="#fff" />
    </svg>
  )
}
