// What all pages have: everything works without it but live updates and keys.
"use strict";

// The server writes instants in the zone of whoever reads them, once it knows which one that is.
(function rememberZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`console_zone=${zone}`)) {
    document.cookie = `console_zone=${zone}; path=/console; max-age=31536000; samesite=strict`;
  }
})();

// A notice is about what was just done: a page that is reloaded or sent to somebody has none.
(function forgetNotice() {
  const url = new URL(location.href);
  if (url.searchParams.has("notice")) {
    url.searchParams.delete("notice");
    history.replaceState(history.state, "", url);
  }
})();
