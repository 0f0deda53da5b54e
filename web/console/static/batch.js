// A batch's page: each decision saved at once, by keys, too; and what others decide meanwhile.
"use strict";

(function confirmBatch() {
  const EVERY_MS = 5_000;
  const SOON_MS = 100;
  // At most a tenth of the time: a batch of thousands takes the service a while.
  const SHARE = 10;
  const PATIENCE_MS = 20_000;
  const MOST_ROWS = 400;
  const CLASS_IS_OLD_MS = 60_000;
  const byId = (id) => document.getElementById(id);
  const list = byId("essays");
  if (!list) return;
  const words = byId("batch-words").dataset;

  // What a row waits for, by its id: {state: "busy" | "failed" | "asked", student, reopens, isUndo}.
  const waiting = new Map();
  // Rows as they are now, of which an older one is being worked on.
  const fresher = new Map();
  // When each row was replaced by the answer to what was decided here, counted in such answers.
  const answered = new Map();
  let answers = 0;
  // What stood before each decision that can be undone: {id, student, reopens}.
  const undoable = [];
  let current = null;
  let byKey = false;

  // --- asking the service ------------------------------------------------------------------------

  async function ask(query, options = {}) {
    const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await fetch(query, { ...options, headers, signal });
    const elsewhere = answer.headers.get("HX-Redirect");
    if (elsewhere) location.assign(elsewhere);
    else if (answer.headers.has("HX-Refresh")) location.reload();
    return { status: answer.status, isGood: answer.ok, body: parsed(await answer.text()) };
  }

  function parsed(text) {
    return new DOMParser().parseFromString(text, "text/html").body;
  }

  // What a page about an error says of it.
  function advice(body) {
    return body.querySelector(".problem p")?.textContent ?? "";
  }

  function tell(...texts) {
    byId("told").textContent = texts.join(" ");
  }

  function made(tag, className, text = "") {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  }

  function button(className, text) {
    const element = made("button", className, text);
    element.type = "button";
    return element;
  }

  // --- rows ----------------------------------------------------------------------------------------

  const rowOf = (node) => node.closest?.("#essays > .essay") ?? null;
  const isPending = (row) => row.dataset.state !== "decided";
  const fileOf = (row) => row.querySelector(".file").textContent.trim();
  const studentOf = (row) => row.querySelector(".student").textContent.trim();
  const heightOf = (row) => row.getBoundingClientRect().height;
  const isBusy = (row) => waiting.get(row.id)?.state === "busy";

  function mark(row) {
    const last = current;
    current = row;
    row.tabIndex = 0;
    row.setAttribute("aria-current", "true");
    if (last && last !== row) unmark(last);
  }

  function unmark(row) {
    row.tabIndex = -1;
    row.removeAttribute("aria-current");
    settle(row);
  }

  // It becomes what it is by now, once nobody works on it.
  function settle(row) {
    if (fresher.has(row.id) && !isWorkedOn(row)) replace(row, fresher.get(row.id));
  }

  function go(row) {
    if (!row) return;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function nextPending(row) {
    const rows = [...list.children];
    const at = rows.indexOf(row) + 1;
    const wanted = (one) => isPending(one) && !isBusy(one);
    return [...rows.slice(at), ...rows.slice(0, at)].find((one) => one !== row && wanted(one));
  }

  // It keeps its height: nothing moves under a finger that is about to touch the next one.
  function replace(row, fresh, height = heightOf(row)) {
    const hasFocus = row.contains(document.activeElement);
    fresh.style.minHeight = `${height}px`;
    fresher.delete(row.id);
    if (row === current) current = null;
    row.replaceWith(fresh);
    if (undoable.some((one) => one.id === fresh.id) && !isPending(fresh)) {
      fresh.querySelector(".acts").append(button("plain undo", words.undo));
    }
    if (hasFocus) fresh.focus({ preventScroll: true });
    else if (!current) mark(fresh);
    countLater();
    return fresh;
  }

  function note(row, className, ...content) {
    row.querySelector(".note.own")?.remove();
    const element = made("p", `note own ${className}`);
    element.append(...content);
    row.querySelector(".acts").before(element);
  }

  function trouble() {
    const ids = [...waiting].filter(([, one]) => one.state !== "busy").map(([id]) => id);
    byId("trouble").hidden = !ids.length;
    byId("trouble").querySelector("b").textContent = number(ids.length);
    return ids;
  }

  // --- deciding --------------------------------------------------------------------------------------

  // One after another: what is undone has been saved before.
  let queue = Promise.resolve();
  function queued(work) {
    queue = queue.then(work).catch((error) => console.error(error));
  }

  function decide(row, student, also = {}) {
    if (isBusy(row)) return;
    begin(row, { ...also, student });
    if (byKey && !also.isUndo && byId("moving").checked) go(nextPending(row));
  }

  function begin(row, wanted) {
    waiting.set(row.id, { ...wanted, state: "busy" });
    row.style.minHeight = `${heightOf(row)}px`;
    row.setAttribute("aria-busy", "true");
    row.querySelector(".note.own")?.remove();
    row.querySelector(".standing").append(made("span", "saving", words.saving));
    trouble();
    queued(() => save(row.id, wanted));
  }

  function before(row) {
    if (isPending(row)) return { id: row.id, student: "nobody", reopens: true };
    return { id: row.id, student: row.dataset.student ?? "nobody", reopens: false };
  }

  async function save(id, wanted) {
    const row = byId(id);
    const form = row.querySelector(".acts");
    const fields = new URLSearchParams({ student: wanted.student });
    for (const one of form.querySelectorAll("input[type=hidden]")) fields.set(one.name, one.value);
    let answer;
    try {
      answer = await ask(form.action, { method: "POST", body: fields });
    } catch {
      failed(id, wanted, words.unreachable);
      return;
    }
    const fresh = answer.body.querySelector(".essay");
    if (!fresh) failed(id, wanted, `${words.unsaved} ${advice(answer.body)}`);
    else if (answer.isGood) saved(row, wanted, fresh);
    else refused(row, fresh);
    lookIn(SOON_MS);
  }

  function saved(row, wanted, fresh) {
    waiting.delete(row.id);
    if (!wanted.isUndo) undoable.push(before(row));
    answered.set(row.id, ++answers);
    const now = replace(row, fresh);
    trouble();
    tell(words.saved, fileOf(now), studentOf(now));
    if (!wanted.reopens) return;
    note(now, "", words.undone);
    tell(words.undone);
    if (!choice.open && (current === now || !current)) choose(now);
  }

  function nameOf(row, student) {
    if (student === row.dataset.student) return studentOf(row);
    const known = students.find((one) => one.student === student)?.option;
    const other = row.querySelector(`.acts [value="${CSS.escape(student)}"]`);
    return (known?.querySelector(".name") ?? other)?.textContent.trim() ?? "";
  }

  // It stays as it was, and remembers what was wanted.
  function failed(id, wanted, why) {
    const row = byId(id);
    waiting.set(id, { ...wanted, state: "failed" });
    row.removeAttribute("aria-busy");
    row.querySelector(".saving")?.remove();
    const name = made("bdi", "name", nameOf(row, wanted.student));
    note(row, "fault", name, `: ${why} `, button("retry", words.retry));
    trouble();
    tell(fileOf(row), why);
  }

  // The service says why in the row, and asks.
  function refused(row, fresh) {
    waiting.set(row.id, { state: "asked" });
    answered.set(row.id, ++answers);
    const told = fresh.querySelector(".note");
    told?.removeAttribute("role");
    const now = replace(row, fresh);
    trouble();
    tell(fileOf(now), told?.textContent ?? words.unsaved);
  }

  async function leave(row) {
    try {
      const { body } = await ask(row.querySelector(".acts").action);
      const now = replace(row, body.querySelector(".essay"));
      waiting.delete(now.id);
      trouble();
    } catch {
      mayBeOld(words.silent);
    }
  }

  // What could not be saved is not wanted any more.
  function forget(row) {
    waiting.delete(row.id);
    row.querySelector(".note.own").remove();
    trouble();
    go(row);
  }

  function undo(id) {
    queued(() => {
      const lost = id ? undefined : [...waiting].findLast(([, one]) => one.state === "failed");
      if (lost) return forget(byId(lost[0]));
      const at = undoable.findLastIndex((one) => !id || one.id === id);
      if (at < 0) return tell(words.nothing);
      const [{ id: of, student, reopens }] = undoable.splice(at, 1);
      const row = byId(of);
      if (row !== current) go(row);
      decide(row, student, { isUndo: true, reopens });
    });
  }

  // --- the class ---------------------------------------------------------------------------------------

  const choice = byId("choice");
  const find = byId("find");
  const found = byId("students-found");
  let students = [];
  let readAt = -Infinity;
  let isReading = false;
  let chosenFor = null;
  let active = null;

  function folded(text) {
    const plain = text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    return plain.replace(/[øæœßłđ]/g, (one) => FOLDS[one]);
  }
  const FOLDS = { "ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "ł": "l", "đ": "d" };

  const exact = (text) => text.normalize("NFC").toLowerCase();
  const parts = (text) => text.split(/[\s\-.@]+/).filter(Boolean);

  async function readClass() {
    if (isReading || performance.now() - readAt < CLASS_IS_OLD_MS) return;
    isReading = true;
    byId("choice-fault").hidden = true;
    try {
      const answer = await ask("?piece=students");
      const options = [...answer.body.querySelectorAll("[role=option]")];
      if (!answer.isGood || !options.length) throw new Error("no class");
      showClass(options);
    } catch {
      byId("choice-fault").hidden = students.length > 0;
    }
    isReading = false;
  }

  function showClass(options) {
    readAt = performance.now();
    found.replaceChildren(...options, byId("nobody").content.cloneNode(true));
    students = [...found.children].map((option) => ({
      option,
      folded: parts(folded(option.textContent)),
      exact: parts(exact(option.textContent)),
      student: option.dataset.student,
    }));
    filter();
  }

  // Each word that is typed begins a word of the name; "asa" finds Åsa, "å" does not find Anna.
  function filter() {
    const typed = exact(find.value);
    const isPlain = folded(typed) === typed;
    const wanted = parts(typed);
    const row = chosenFor && byId(chosenFor);
    const canBeUnknown = row && isPending(row) && !row.dataset.student;
    let count = 0;
    for (const one of students) {
      const names = isPlain ? one.folded : one.exact;
      const isThere = wanted.every((part) => names.some((name) => name.startsWith(part)));
      one.option.hidden = !isThere || (one.student === "unknown" && !canBeUnknown);
      count += !one.option.hidden;
    }
    byId("found-number").textContent = students.length ? number(count) : words.loading;
    // Who has not looked yet takes nobody by a second Enter.
    activate(wanted.length ? visible()[0] : null);
  }

  const visible = () => students.filter((one) => !one.option.hidden).map((one) => one.option);

  function activate(option) {
    active?.setAttribute("aria-selected", "false");
    active = option ?? null;
    if (!active) return find.removeAttribute("aria-activedescendant");
    active.setAttribute("aria-selected", "true");
    find.setAttribute("aria-activedescendant", active.id);
    active.scrollIntoView({ block: "nearest" });
  }

  function choose(row) {
    if (isBusy(row)) return;
    chosenFor = row.id;
    mark(row);
    choice.querySelector("h2 bdi").textContent = fileOf(row);
    find.value = "";
    filter();
    choice.showModal();
    find.focus();
    readClass();
  }

  function take(option) {
    const row = byId(chosenFor);
    chosenFor = null;
    choice.close();
    go(row);
    decide(row, option.dataset.student);
  }

  const STEPS = { ArrowDown: 1, ArrowUp: -1 };
  find.addEventListener("input", filter);
  find.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const options = visible();
    if (event.key in STEPS && options.length) {
      const at = options.indexOf(active) + STEPS[event.key];
      activate(options[(at + options.length) % options.length]);
    } else if (event.key === "Enter" && !event.repeat) {
      if (active && !active.hidden) take(active);
    } else return;
    event.preventDefault();
  });
  found.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) take(option);
  });
  // The field has the focus all the time.
  found.addEventListener("mousedown", (event) => event.preventDefault());
  choice.addEventListener("close", () => {
    if (chosenFor) byId(chosenFor).focus({ preventScroll: true });
  });
  byId("choice-fault").querySelector("button").addEventListener("click", readClass);

  // --- keys ---------------------------------------------------------------------------------------------

  const neighbour = (row, step) => (step > 0 ? row.nextElementSibling : row.previousElementSibling);

  function enter(row) {
    const wanted = waiting.get(row.id);
    if (wanted?.state === "failed") begin(row, wanted);
    else if (wanted?.state === "asked") row.querySelector(".acts button, .acts a")?.focus();
    else if (isPending(row) && row.dataset.student) decide(row, row.dataset.student);
    else choose(row);
  }

  const KEYS = {
    ArrowDown: (row) => go(neighbour(row, 1)),
    ArrowUp: (row) => go(neighbour(row, -1)),
    j: (row) => go(neighbour(row, 1)),
    k: (row) => go(neighbour(row, -1)),
    n: (row) => go(nextPending(row)),
    r: (row) => decide(row, "nobody"),
    u: () => undo(),
    "/": choose,
    "?": () => byId("keys").showModal(),
  };
  const REPEATED = new Set(["ArrowDown", "ArrowUp", "j", "k"]);

  function acted(event, row) {
    const { key } = event;
    if (Object.hasOwn(KEYS, key)) {
      if (!event.repeat || REPEATED.has(key)) KEYS[key](row);
      return true;
    }
    if (/^[1-9]$/.test(key)) {
      const other = row.querySelectorAll(".acts .other")[key - 1];
      if (other && !event.repeat) decide(row, other.value);
      return true;
    }
    if (key !== "Enter" || event.target !== row) return false;
    if (!event.repeat) enter(row);
    return true;
  }

  document.addEventListener("keydown", () => (byKey = true), true);
  document.addEventListener("pointerdown", () => (byKey = false), true);
  list.addEventListener("keydown", (event) => {
    const row = rowOf(event.target);
    if (!row || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (acted(event, row)) event.preventDefault();
    // The letter, or what becomes one with the next key, goes into the field that is open then.
    else if (!event.repeat && (/^\p{L}$/u.test(event.key) || event.key === "Dead")) choose(row);
  });

  // --- pointers, forms -------------------------------------------------------------------------------------

  list.addEventListener("focusin", (event) => {
    const row = rowOf(event.target);
    if (row && row !== current) mark(row);
  });
  list.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter) decide(rowOf(event.target), event.submitter.value);
  });
  list.addEventListener("click", (event) => {
    const row = rowOf(event.target);
    const pressed = event.target.closest("a, button");
    if (!row || !pressed || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const kind = ["choose", "leave", "retry", "undo"].find((one) => pressed.classList.contains(one));
    if (!kind) return;
    event.preventDefault();
    const act = { choose, leave, retry: enter, undo: () => undo(row.id) }[kind];
    act(row);
  });
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector(".leave").addEventListener("click", () => dialog.close());
  }
  byId("ask-keys").addEventListener("click", () => byId("keys").showModal());
  byId("trouble").querySelector("button").addEventListener("click", () => go(byId(trouble()[0])));
  addEventListener("beforeunload", (event) => {
    if ([...waiting.values()].some((one) => one.state !== "asked")) event.preventDefault();
  });

  // --- the rest ------------------------------------------------------------------------------------------

  const from = byId("from");
  const rest = byId("confirm");
  const number = (count) => count.toLocaleString(document.documentElement.lang);

  function shareOf(text) {
    const read = /^\s*([0-9]{1,3}(?:[.,][0-9]{1,6})?)\s*%?\s*$/.exec(text);
    const share = read ? Number(read[1].replace(",", ".")) / 100 : 2;
    return share <= 1 ? share : null;
  }

  function count() {
    const share = shareOf(from.value);
    byId("from-fault").hidden = share !== null;
    from.setAttribute("aria-invalid", `${share === null}`);
    if (share === null) from.setAttribute("aria-describedby", "from-fault");
    else from.removeAttribute("aria-describedby");
    const rows = [...list.children].filter((row) => isPending(row) && row.dataset.student);
    const takes = rows.filter((row) => share !== null && Number(row.dataset.confidence) >= share);
    rest.querySelector(".takes").textContent = number(takes.length);
    rest.querySelector(".share").textContent = `${from.value} %`;
    rest.querySelector("button").disabled = !takes.length;
    rest.elements.from.value = from.value;
  }

  let isToCount = false;
  function countLater() {
    if (isToCount) return;
    isToCount = true;
    requestAnimationFrame(() => {
      isToCount = false;
      count();
    });
  }

  async function confirmRest() {
    const fields = new URLSearchParams(new FormData(rest));
    try {
      const answer = await ask(location.pathname, { method: "POST", body: fields });
      tell(answer.isGood ? words.saved : `${words.unsaved} ${advice(answer.body)}`);
      restFailed(answer.isGood ? "" : `${words.unsaved} ${advice(answer.body)}`);
    } catch {
      restFailed(words.unreachable);
    }
    rest.removeAttribute("aria-busy");
    await look();
  }

  function restFailed(why) {
    rest.parentElement.querySelector(".own")?.remove();
    if (!why) return;
    const told = made("p", "fault own", why);
    told.setAttribute("role", "alert");
    rest.after(told);
  }

  from.addEventListener("input", count);
  document.querySelector(".least").addEventListener("submit", (event) => event.preventDefault());
  rest.addEventListener("submit", (event) => {
    event.preventDefault();
    if (rest.hasAttribute("aria-busy")) return;
    rest.setAttribute("aria-busy", "true");
    queued(confirmRest);
  });

  // --- what others decide --------------------------------------------------------------------------------

  let have = list.dataset.have;
  let isLooking = false;
  let looksAgain = false;
  let tookMs = 0;
  let timer = 0;
  let looksAt = Infinity;

  async function look() {
    looksAgain = isLooking;
    if (isLooking) return;
    isLooking = true;
    clearTimeout(timer);
    looksAt = Infinity;
    const began = performance.now();
    try {
      mayBeOld(await lookOnce());
    } catch {
      mayBeOld(words.silent);
    }
    tookMs = performance.now() - began;
    isLooking = false;
    lookIn(looksAgain ? SOON_MS : EVERY_MS);
  }

  function lookIn(ms) {
    const at = performance.now() + Math.max(ms, SHARE * tookMs);
    if (isLooking) looksAgain ||= ms < EVERY_MS;
    if (isLooking || at >= looksAt) return;
    clearTimeout(timer);
    looksAt = at;
    timer = setTimeout(lookUnlessHidden, at - performance.now());
  }

  function lookUnlessHidden() {
    looksAt = Infinity;
    if (!document.hidden) look();
  }

  // Said once, not each time.
  function mayBeOld(why) {
    if (byId("old").textContent !== why) byId("old").textContent = why;
  }

  // Returns what the service says is wrong, "" if nothing is.
  async function lookOnce() {
    for (const id of [...fresher.keys()]) settle(byId(id));
    const began = answers;
    const answer = await ask(`?piece=state&have=${have}`);
    if (answer.status === 204) return "";
    const state = answer.body.querySelector(".state");
    if (!answer.isGood || !state) return advice(answer.body) || words.silent;
    const now = state.dataset;
    const tags = now.tags.split(" ").filter(Boolean).map((one) => one.split(":"));
    const old = tags.filter(([id, tag]) => byId(`essay-${id}`)?.dataset.tag !== tag);
    showHead(state);
    for (let at = 0; at < old.length; at += MOST_ROWS) {
      await readRows(old.slice(at, at + MOST_ROWS), began);
    }
    have = now.have;
    return "";
  }

  function showHead(state) {
    const head = byId("head");
    const wasOpen = !head.querySelector(".sum");
    const hasFocus = head.contains(document.activeElement);
    byId("rest").hidden = state.dataset.pending === "0";
    head.replaceChildren(...state.childNodes);
    document.body.dispatchEvent(new CustomEvent("console:replaced"));
    const sum = head.querySelector(".sum");
    if (wasOpen && sum) tell(sum.textContent.trim().replace(/\s+/g, " "));
    if (hasFocus) head.querySelector("a")?.focus();
  }

  async function readRows(some, began) {
    const query = new URLSearchParams([["piece", "rows"], ...some.map(([id]) => ["essay", id])]);
    const answer = await ask(`?${query}`);
    if (!answer.isGood) throw new Error(`${answer.status}`);
    const rows = [...answer.body.querySelectorAll(".essay")];
    // All before the first change: the browser lays the page out once.
    const heights = rows.map((fresh) => byId(fresh.id) && heightOf(byId(fresh.id)));
    rows.forEach((fresh, at) => show(fresh, began, heights[at]));
  }

  function show(fresh, began, height) {
    const row = byId(fresh.id);
    // What was read before an answer to what was decided here is older than the row.
    if ((answered.get(fresh.id) ?? 0) > began) looksAgain = true;
    else if (!row) append(fresh);
    else if (row.dataset.tag === fresh.dataset.tag) fresher.delete(row.id);
    else if (isWorkedOn(row)) meanwhile(row, fresh);
    else replace(row, fresh, height);
  }

  function append(fresh) {
    list.append(fresh);
    byId("empty").hidden = true;
    if (!current) mark(fresh);
    countLater();
  }

  function isWorkedOn(row) {
    const isHere = row === current && (choice.open || row.contains(document.activeElement));
    return isHere || waiting.has(row.id);
  }

  function meanwhile(row, fresh) {
    const isNews = fresher.get(row.id)?.dataset.tag !== fresh.dataset.tag;
    fresher.set(row.id, fresh);
    if (isBusy(row) || !isNews || isPending(fresh)) return;
    const name = made("bdi", "name", studentOf(fresh));
    const by = fresh.querySelector(".standing").textContent.trim();
    if (!waiting.has(row.id)) note(row, "warn", `${words.meanwhile} `, name, ` (${by})`);
    tell(fileOf(row), words.meanwhile, studentOf(fresh), by);
  }

  const NEWS = ["student_matches_suggested", "student_associations_confirmed"];
  for (const one of [...NEWS, "validation_timeout_processed", "resync", "due"]) {
    document.body.addEventListener(`console:${one}`, look);
  }
  document.addEventListener("visibilitychange", () => document.hidden || look());
  lookIn(EVERY_MS);

  // --- the beginning ---------------------------------------------------------------------------------------

  const MOVING = "console.moving";
  const moving = byId("moving");
  try {
    moving.checked = localStorage.getItem(MOVING) !== "no";
    moving.addEventListener("change", () => {
      localStorage.setItem(MOVING, moving.checked ? "yes" : "no");
    });
  } catch {
    // A browser may keep nothing: then it is on each time.
  }
  byId("tools").hidden = false;
  document.querySelector(".least button").hidden = true;
  const first = list.firstElementChild;
  const named = location.hash.startsWith("#essay-") && byId(location.hash.slice(1));
  if (named) go(named);
  else if (first && isPending(first)) first.focus({ preventScroll: true });
  else if (first) mark(first);
  if (first) readClass();
  count();
})();
