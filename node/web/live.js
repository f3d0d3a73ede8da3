// Keeps a page current without reloading it: listens for changes, fetches the page anew, and swaps in the sections
// that differ. Forms stand outside those sections, so nothing that is being typed is touched and focus stays where it
// is. Without this script every page works; it just does not change by itself.

const GATHER_MS = 300;
const REFRESH_MS = 30_000;
const RETRY_MS = 5_000;

const body = document.body;
const lost = document.getElementById("lost");
const state = document.getElementById("live-state");
let updated = new Date();
let gathering = 0;
let fetching = false;
let again = false;

function clock(time) {
  return time.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

function connected(yes) {
  if (lost) {
    lost.hidden = yes;
    if (!yes) lost.textContent = lost.dataset.text.replace("{}", clock(updated));
  }
  if (state) state.textContent = yes ? state.dataset.on : state.dataset.off;
}

/** Whether a section holds what the person is doing right now. */
function inUse(section) {
  const active = document.activeElement;
  return active && active !== body && section.contains(active) && active.matches("input, select, textarea");
}

function swap(section, fresh) {
  if (section.innerHTML === fresh.innerHTML || inUse(section)) return;
  const openFolds = new Set([...section.querySelectorAll("details[open][id]")].map((fold) => fold.id));
  const active = document.activeElement;
  const focused = section.contains(active) ? active.id || active.getAttribute("href") : null;
  section.replaceChildren(...fresh.childNodes);
  for (const fold of section.querySelectorAll("details[id]")) if (openFolds.has(fold.id)) fold.open = true;
  if (focused) {
    const same = [...section.querySelectorAll("a[href], summary, button, [id]")];
    same.find((element) => element.id === focused || element.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }
  if (!section.hasAttribute("data-quiet")) {
    section.classList.remove("fresh");
    requestAnimationFrame(() => section.classList.add("fresh"));
  }
}

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.status === 401 || answer.redirected) {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const section of document.querySelectorAll("[data-live]")) {
      const match = fresh.querySelector(`[data-live="${section.dataset.live}"]`);
      if (match) swap(section, match);
    }
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

/** Several changes often come together: one fetch serves them all. */
function soon() {
  clearTimeout(gathering);
  gathering = setTimeout(refresh, GATHER_MS);
}

function listen(address) {
  const changes = new EventSource(address);
  changes.addEventListener("hello", soon);
  changes.addEventListener("change", soon);
  changes.addEventListener("missed", soon);
  changes.onerror = () => {
    connected(false);
    if (changes.readyState === EventSource.CLOSED) setTimeout(() => listen(address), RETRY_MS);
  };
}

if (body.dataset.changes) listen(body.dataset.changes);
// The time of the as-of line and the silence of other nodes change without any event.
setInterval(() => {
  if (document.visibilityState === "visible") refresh();
}, REFRESH_MS);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") soon();
});
