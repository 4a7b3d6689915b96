// Before the first paint, so that a dark room is never lit up for a moment.
try {
  var theme = localStorage.getItem('studio.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch (_) {
  // Storage may be forbidden: the system's theme it is.
}
