// Before the first paint, so that a dark room is never lit up for a moment.
;(function () {
  var wanted = null
  try {
    wanted = localStorage.getItem('studio.theme')
  } catch (_) {
    // Storage may be forbidden: the system's theme it is.
  }
  var dark = matchMedia('(prefers-color-scheme: dark)').matches
  document.documentElement.dataset.theme = wanted === 'light' || wanted === 'dark' ? wanted : dark ? 'dark' : 'light'
})()
