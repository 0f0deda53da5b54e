// What happens while a page is open: one stream of events for all of it, and deadlines that run down.
"use strict";

// Fires on the body, at most four times a second for each type: the first at once. What came in
// between is told by the last, or by "resync" where there were several that differ.
const tell = (function () {
  const PAUSE_MS = 250;
  const held = new Map();

  function fire(type, detail) {
    document.body.dispatchEvent(new CustomEvent(`console:${type}`, { detail }));
  }

  function release(type) {
    const { waiting } = held.get(type);
    held.delete(type);
    if (!waiting.length) return;
    const several = new Set(waiting.map((one) => one.batch_id)).size > 1;
    if (several) tell("resync", {});
    tell(type, waiting.at(-1));
  }

  return function tell(type, detail) {
    const before = held.get(type);
    if (before) {
      before.waiting.push(detail);
      return;
    }
    held.set(type, { waiting: [] });
    setTimeout(release, PAUSE_MS, type);
    fire(type, detail);
  };
})();

// The words of the page's language, by what they are for.
function word(name) {
  const words = document.getElementById("words");
  return words?.content.querySelector(`[data-word="${name}"]`)?.textContent ?? "";
}

(function follow() {
  const path = document.body.dataset.stream;
  const words = document.getElementById("words");
  if (!path || !words) return;
  const DOWN_MS = 2000;
  // Browsers open six connections to a host, where HTTP/1.1 is spoken: tabs in the back give theirs back.
  const HIDDEN_MS = 5000;
  const LATE_MS = 3000;
  const FIRST_PAUSE_MS = 1000;
  const LONGEST_PAUSE_MS = 30000;
  const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
  const line = document.getElementById("line");
  const notice = document.getElementById("notice");
  const batches = new Set();
  let source = null;
  let pause = FIRST_PAUSE_MS;
  let again, down, rest;
  // Whether something may have happened since the page was made that nobody has told.
  let isBehind = false;

  function opened() {
    pause = FIRST_PAUSE_MS;
    clearTimeout(down);
    down = undefined;
    line.hidden = true;
    if (isBehind || performance.now() > LATE_MS) tell("resync", {});
    isBehind = false;
  }

  function failed() {
    if (down === undefined) down = setTimeout(() => { line.hidden = false; }, DOWN_MS);
    isBehind = true;
    // The browser tries again by itself, unless the service has said no.
    if (source?.readyState !== EventSource.CLOSED) return;
    close();
    again = setTimeout(open, pause * (0.5 + Math.random() / 2));
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }

  function open() {
    close();
    source = new EventSource(path);
    source.addEventListener("open", opened);
    source.addEventListener("error", failed);
    source.addEventListener("resync", () => tell("resync", {}));
    for (const one of words.content.querySelectorAll("[data-event]")) {
      source.addEventListener(one.dataset.event, (event) => happened(one, JSON.parse(event.data)));
    }
  }

  function close() {
    clearTimeout(again);
    source?.close();
    source = null;
  }

  function happened(told, data) {
    if (told.textContent) show(told, data.batch_id);
    tell(told.dataset.event, data);
  }

  // What a form has said stays: this is beside it.
  function show(told, batchId) {
    batches.add(batchId);
    const text = document.createElement("p");
    text.className = "told";
    text.append(told.textContent);
    const known = batches.size === 1 && UUID.test(batchId);
    const address = known ? `/console/batches/${batchId}` : "/console";
    if (location.pathname !== address) {
      const link = document.createElement("a");
      link.href = address;
      link.textContent = word("show");
      text.append(" ", link);
    }
    notice.querySelector(".told")?.remove();
    notice.append(text);
  }

  function shown() {
    clearTimeout(rest);
    if (!source) open();
  }

  function hidden() {
    clearTimeout(rest);
    rest = setTimeout(() => { isBehind = true; close(); }, HIDDEN_MS);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? hidden() : shown()));
  addEventListener("pagehide", () => { isBehind = true; close(); });
  addEventListener("pageshow", (event) => { if (event.persisted) shown(); });
  addEventListener("offline", failed);
  addEventListener("online", () => {
    isBehind = true;
    if (!document.hidden) open();
  });
  if (!document.hidden) open();
  else isBehind = true;
})();

(function countDown() {
  const HOUR = 3600000;
  const MINUTE = 60000;
  const SAID = [["hour", HOUR], ["minutes", 10 * MINUTE]];
  const JUMP_MS = 5000;
  const FIRST_DUE_MS = 2000;
  const LONGEST_DUE_MS = 60000;
  const spoken = document.getElementById("spoken");
  const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
  const units = Object.fromEntries(["hour", "minute", "day"].map((unit) =>
    [unit, new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" })]));
  // By what they are of: how much was left when they were looked at, and when they are due again.
  const seen = new Map();

  // The server's clock: what it was when the page came, and what has passed since. The browser's
  // own may be wrong, or be set meanwhile.
  let base = Date.parse(document.body.dataset.now)
    - (performance.getEntriesByType?.("navigation")?.[0]?.responseStart ?? 0);
  let drift = Date.now() - performance.now();

  function left(element) {
    return Date.parse(element.dataset.until) - (base + performance.now());
  }

  // While a machine sleeps, only one of its clocks goes on.
  async function look() {
    const now = Date.now() - performance.now();
    if (Math.abs(now - drift) < JUMP_MS) return;
    drift = now;
    try {
      const answer = await fetch("/console/static/console.css", { method: "HEAD", cache: "no-store" });
      const at = Date.parse(answer.headers.get("Date"));
      if (at) base = at - performance.now();
    } catch {
      // The line is down, which is shown; the clock goes on as it was.
    }
    tell("resync", {});
  }

  function length(milliseconds) {
    const minutes = Math.max(0, Math.floor(milliseconds / MINUTE));
    const hours = Math.floor(minutes / 60);
    const days = Math.floor(hours / 24);
    const parts = days >= 2
      ? [["day", days], ["hour", hours % 24]]
      : [["hour", hours], ["minute", minutes % 60]];
    const some = parts.filter(([, count]) => count);
    return (some.length ? some : [["minute", 0]])
      .map(([unit, count]) => units[unit].format(count)).join(" ");
  }

  function say(element, rest, before) {
    const crossed = SAID.findLast(([, limit]) => before > limit && rest <= limit && rest > 0);
    if (!crossed || !spoken) return;
    const name = element.dataset.of;
    spoken.textContent = name ? `${name}: ${word(crossed[0])}` : word(crossed[0]);
  }

  function due(element, known) {
    const holder = element.closest(".deadline");
    if (holder && !element.hidden) {
      element.hidden = true;
      holder.replaceChildren(word("due"), element);
    }
    const now = performance.now();
    if (now < known.next) return;
    known.pause = Math.min(2 * known.pause, LONGEST_DUE_MS);
    known.next = now + known.pause;
    tell("due", { until: element.dataset.until });
  }

  function show(element) {
    const rest = left(element);
    const key = `${element.dataset.of ?? ""} ${element.dataset.until}`;
    if (!seen.has(key)) seen.set(key, { rest, next: 0, pause: FIRST_DUE_MS / 2 });
    const known = seen.get(key);
    if (rest <= 0) {
      due(element, known);
    } else {
      const text = length(rest);
      if (element.textContent !== text) element.textContent = text;
      say(element, rest, known.rest);
    }
    known.rest = rest;
  }

  function tick() {
    look();
    document.querySelectorAll("time.countdown").forEach(show);
  }

  setInterval(tick, 1000);
  // What comes from the service has its words for a length of time, which may need another line.
  for (const type of ["htmx:afterSwap", "console:replaced"]) document.body.addEventListener(type, tick);
  tick();
})();
