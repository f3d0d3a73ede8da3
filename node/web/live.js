// Keeps a page current without reloading it: listens for changes, fetches the page anew, and swaps in the sections
// that differ. A section in which somebody has typed is left alone until they submit, so nothing typed is ever lost,
// and focus and opened folds stay where they are. Without this script every page works; it just does not change by
// itself.

const GATHER_MS = 300;
/** While changes keep coming, the page is fetched at the latest this long after the first of them. */
const GATHER_MAX_MS = 1_000;
const REFRESH_MS = 30_000;
const RETRY_MS = 5_000;

const body = document.body;
const lost = document.getElementById("lost");
const held = document.getElementById("held");
const state = document.getElementById("live-state");
/** What the node last sent of each section. Compared with what it sends next, never with what the person opened. */
const sent = new Map();
let updated = new Date();
let gathering = 0;
let firstOfThem = 0;
let fetching = false;
let again = false;
let ended = false;

function clock(time) {
  return time.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

function warn(text) {
  if (!lost) return;
  lost.hidden = !text;
  if (text) lost.textContent = text;
}

function connected(yes) {
  warn(yes ? "" : lost?.dataset.text.replace("{}", clock(updated)));
  if (state) state.textContent = yes ? state.dataset.on : state.dataset.off;
}

/** The session is over. The page stays as it is, because somebody may be writing on it. */
function signedOut() {
  ended = true;
  warn(lost?.dataset.signedOut);
  if (state) state.textContent = state.dataset.off;
}

/** A section as the node sends it, without what differs each time, and without the sections inside it. */
function plain(section) {
  const copy = section.cloneNode(true);
  for (const once of copy.querySelectorAll('input[name="_act"]')) once.remove();
  for (const inner of copy.querySelectorAll("[data-live]")) inner.replaceChildren();
  return copy.innerHTML;
}

function changed(control) {
  if (control.type === "hidden") return false;
  if (control.type === "checkbox" || control.type === "radio") return control.checked !== control.defaultChecked;
  if (control.matches("select")) {
    const first = [...control.options].findIndex((option) => option.defaultSelected);
    return control.selectedIndex !== Math.max(first, 0);
  }
  return control.value !== control.defaultValue;
}

/** Whether a section holds what the person is doing right now. */
function inUse(section) {
  const active = document.activeElement;
  if (active && section.contains(active) && active.matches("input, select, textarea")) return true;
  return [...section.querySelectorAll("input, select, textarea")].some(changed);
}

/** Whether a form that is in use stands on less than the page shows by now: what is counted with it leaves that out. */
function standsOnLess(section, match) {
  const heads = (part) => [...part.querySelectorAll('input[name="heads"]')].map((input) => input.value).join();
  return heads(section) !== heads(match);
}

/** What finds the focused element again after its section was swapped. */
function markOf(element) {
  if (element.matches("summary")) return element.parentElement.id;
  return element.id || element.getAttribute("href");
}

function swap(section, fresh) {
  const folds = new Map([...section.querySelectorAll("details[id]")].map((fold) => [fold.id, fold.open]));
  const active = document.activeElement;
  const focused = active && section.contains(active) ? markOf(active) : null;
  section.replaceChildren(...fresh.childNodes);
  for (const inner of section.querySelectorAll("[data-live]")) sent.set(inner.dataset.live, plain(inner));
  for (const fold of section.querySelectorAll("details[id]")) fold.open = folds.get(fold.id) ?? fold.open;
  if (focused) {
    const same = [...section.querySelectorAll("a[href], summary, button, [id]")];
    same.find((element) => element.tabIndex >= 0 && markOf(element) === focused)?.focus({ preventScroll: true });
  }
  if (!section.hasAttribute("data-quiet")) {
    section.classList.remove("fresh");
    requestAnimationFrame(() => section.classList.add("fresh"));
  }
}

/** Swaps every section that differs; says whether one was left alone although it differs. */
function apply(fresh) {
  let left = false;
  for (const section of document.querySelectorAll("[data-live]")) {
    const match = fresh.querySelector(`[data-live="${section.dataset.live}"]`);
    if (!match || !section.isConnected) continue;
    const now = plain(match);
    if (sent.get(section.dataset.live) === now) continue;
    if (inUse(section)) {
      left ||= !section.hasAttribute("data-quiet") || standsOnLess(section, match);
      continue;
    }
    swap(section, match);
    sent.set(section.dataset.live, now);
  }
  return left;
}

async function refresh() {
  if (ended) return;
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  firstOfThem = 0;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.status === 401 || answer.redirected) {
      signedOut();
      return;
    }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const left = apply(new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (held) held.hidden = !left;
    updated = new Date();
    connected(true);
  } catch {
    connected(false);
  } finally {
    fetching = false;
    if (again) {
      again = false;
      soon();
    }
  }
}

/** Several changes often come together: one fetch serves them all, a second after the first of them at the latest. */
function soon() {
  const now = performance.now();
  firstOfThem ||= now;
  clearTimeout(gathering);
  gathering = setTimeout(refresh, Math.max(0, Math.min(GATHER_MS, firstOfThem + GATHER_MAX_MS - now)));
}

function listen(address) {
  const changes = new EventSource(address);
  changes.addEventListener("hello", soon);
  changes.addEventListener("change", soon);
  changes.addEventListener("missed", soon);
  changes.onerror = () => {
    if (ended) {
      changes.close();
      return;
    }
    connected(false);
    if (changes.readyState === EventSource.CLOSED) {
      soon();
      setTimeout(() => listen(address), RETRY_MS);
    }
  };
}

for (const section of document.querySelectorAll("[data-live]")) sent.set(section.dataset.live, plain(section));
if (body.dataset.changes) listen(body.dataset.changes);
else soon();
// The time of the as-of line and the silence of other nodes change without any event.
setInterval(() => {
  if (document.visibilityState === "visible") refresh();
}, REFRESH_MS);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") soon();
});
