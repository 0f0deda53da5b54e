// The overview asks for itself again while somebody looks at it, and says how old it is when it could not.
"use strict";

(function keepFresh() {
  const EVERY_MS = 5000;
  const OLD_MS = 10000;
  const live = document.getElementById("live");
  const age = document.getElementById("age");
  const line = document.getElementById("line");
  const said = document.getElementById("said");
  let fresh = Date.now();
  let headline = textOf("state");

  function textOf(id) {
    const found = document.getElementById(id);
    return found ? found.textContent.trim() : "";
  }

  function ask() {
    if (document.visibilityState === "visible") {
      htmx.trigger(live, "refresh");
    }
  }

  function tellAge() {
    const old = Date.now() - fresh;
    age.hidden = old <= OLD_MS;
    age.textContent = age.dataset.text.replace("#", Math.round(old / 1000));
  }

  live.addEventListener("htmx:afterSwap", () => {
    fresh = Date.now();
    line.hidden = true;
    tellAge();
    // Only what is new is spoken: the rest of the numbers change all the time.
    if (textOf("state") !== headline) {
      headline = textOf("state");
      said.textContent = headline;
    }
  });
  for (const failed of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    live.addEventListener(failed, () => { line.hidden = false; });
  }
  document.addEventListener("visibilitychange", ask);
  setInterval(ask, EVERY_MS);
  setInterval(tellAge, 1000);
})();
