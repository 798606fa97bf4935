// The home page renews itself, and acts without leaving: what a person holds (the focus, half a
// sentence, an open table) stays as it is. Without this script the page is plain forms and links.
const RENEW_EVERY = 15000;
// Charts move slowly and cost the most: they come with each fourth look.
const CHARTS_EVERY = 4;
const home = document.querySelector("[data-home]");
const address = home && home.dataset.home;

// --- What is held ---------------------------------------------------------------------------

function typed(field) {
  return field.type !== "hidden" && field.type !== "submit" && field.value !== field.defaultValue;
}

function held(node) {
  return (
    node.contains(document.activeElement) ||
    [...node.querySelectorAll("input, textarea")].some(typed)
  );
}

// Each answer has tokens of its own for its forms; they are all good.
function told(node) {
  return node.outerHTML.replace(/(name="csrfmiddlewaretoken" value=")[^"]*/g, "$1").replace(/ open=""/g, "");
}

function carryOpen(old, fresh) {
  for (const fold of old.querySelectorAll("details[open][data-key]")) {
    const same = fresh.querySelector(`details[data-key="${CSS.escape(fold.dataset.key)}"]`);
    if (same) {
      same.open = true;
    }
  }
  if (old.matches("details[open]") && fresh.matches("details")) {
    fresh.open = true;
  }
}

// --- Renewing -------------------------------------------------------------------------------

function replace(old, fresh) {
  carryOpen(old, fresh);
  old.replaceWith(fresh);
}

// `fresh` takes the place of `old`, but for the rows in it that are held.
function renew(old, fresh) {
  if (told(old) === told(fresh)) {
    return;
  }
  if (!held(old)) {
    replace(old, fresh);
    return;
  }
  const kept = [...old.children].filter(held);
  const isRow = old.matches("li, form, header, a, p");
  if (isRow || kept.some((child) => !child.dataset.key)) {
    return;
  }
  [...old.childNodes].filter((child) => !kept.includes(child)).forEach((child) => child.remove());
  let before = 0;
  for (const child of [...fresh.children]) {
    const at = kept.findIndex((one, n) => n >= before && one.dataset.key === child.dataset.key);
    if (at >= 0) {
      renew(kept[at], child);
      before = at + 1;
    } else {
      old.insertBefore(child, kept[before] || null);
    }
  }
  const there = [...fresh.querySelectorAll("[data-key]"), ...old.children];
  for (const one of kept) {
    const gone = !there.some((other) => other !== one && other.dataset.key === one.dataset.key);
    one.toggleAttribute("data-gone", gone && one.matches("li") && !found(fresh, one));
  }
}

function found(fresh, row) {
  return fresh.querySelector(`[data-key="${CSS.escape(row.dataset.key)}"]`) !== null;
}

function take(html, whole) {
  const answer = new DOMParser().parseFromString(html, "text/html");
  if (answer.querySelector("[data-workspace]").dataset.workspace !== home.dataset.workspace) {
    elsewhere();
    return answer;
  }
  stopped = false;
  for (const fresh of answer.querySelectorAll("[data-panel]")) {
    const old = home.querySelector(`[data-panel="${fresh.dataset.panel}"]`);
    if (old && whole && !held(old)) {
      replace(old, document.adoptNode(fresh));
    } else if (old) {
      renew(old, document.adoptNode(fresh));
    }
  }
  return answer;
}

// --- Saying how things are ------------------------------------------------------------------

function state(text, url, label) {
  const line = home.querySelector("[data-home-state]");
  line.textContent = text;
  if (url) {
    const link = document.createElement("a");
    link.href = url;
    link.className = "rm-link";
    link.textContent = label;
    line.append(" ", link);
  }
}

function say(nodes) {
  const place = home.querySelector("[data-home-said]");
  place.replaceChildren(...nodes.map((node) => document.adoptNode(node)));
}

function sayText(text) {
  const line = document.createElement("p");
  line.className = "rm-said-error";
  line.textContent = text;
  say([line]);
}

// Another tab chose another workspace: its rows are not to stand under this one's name.
function elsewhere() {
  stopped = true;
  clearTimeout(timer);
  state("You changed the workspace in another tab.", "/admin/", "Show that one");
}

function signedOut() {
  clearTimeout(timer);
  timer = 0;
  state("You are signed out.", "/admin/login/?next=/admin/", "Sign in again");
}

// --- In time --------------------------------------------------------------------------------

let timer = 0;
let stopped = false;
let latest = 0;
let looks = 0;
let since = new Date();

async function look() {
  const mine = ++latest;
  try {
    looks += 1;
    const wanted = looks % CHARTS_EVERY ? address : address.replace("fragment=1", "fragment=all");
    const answer = await fetch(wanted, { redirect: "manual", headers: { Accept: "text/html" } });
    if (answer.type === "opaqueredirect") {
      signedOut();
      return;
    }
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const html = await answer.text();
    // Something was done meanwhile, and its answer is newer.
    if (mine === latest) {
      take(html, false);
      since = new Date();
      if (!stopped) {
        state("");
      }
    }
  } catch {
    const time = since.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    state(`Not reachable just now; this is from ${time}.`);
  }
  wait();
}

function wait() {
  clearTimeout(timer);
  timer = document.hidden || stopped ? 0 : setTimeout(look, RENEW_EVERY);
}

// --- Acting ---------------------------------------------------------------------------------

function firstControl(row) {
  return row.querySelector("form button, form input[type=text]") || row.querySelector("a, button");
}

// Where the focus goes when a row leaves: the row after it, or before, or its panel's heading.
function nextAfter(form) {
  const row = form.closest("li[data-key]");
  const panel = form.closest("[data-panel]").dataset.panel;
  const keys = [row && row.nextElementSibling, row && row.previousElementSibling]
    .filter((one) => one && one.dataset.key)
    .map((one) => one.dataset.key);
  return () => {
    for (const key of keys) {
      const there = home.querySelector(`[data-key="${CSS.escape(key)}"]`);
      const control = there && firstControl(there);
      if (control) {
        return control;
      }
    }
    return home.querySelector(`[data-panel="${panel}"] h2[tabindex], [data-panel="${panel}"] h2 a`);
  };
}

function sameAgain(name) {
  return () => {
    const row = name.replace(/^(up|down|check)-/, "");
    const ways = [name, `check-${row}`];
    for (const one of ways) {
      const control = home.querySelector(`[data-focus="${CSS.escape(one)}"]`);
      if (control) {
        return control;
      }
    }
    return null;
  };
}

async function act(form, data, focus) {
  if (home.hasAttribute("aria-busy")) {
    return;
  }
  home.setAttribute("aria-busy", "true");
  clearTimeout(timer);
  latest += 1;
  data.set("next", address);
  try {
    const answer = await fetch(form.action, { method: "POST", body: data });
    if (new URL(answer.url).pathname.startsWith("/admin/login/")) {
      signedOut();
      return;
    }
    const html = await answer.text();
    if (!answer.ok) {
      const problem = new DOMParser().parseFromString(html, "text/html").querySelector("h1");
      sayText(problem ? problem.textContent : `It was refused (${answer.status}).`);
      return;
    }
    form.reset();
    document.activeElement.blur();
    const shown = take(html, true);
    const said = [...shown.querySelectorAll("[data-home-said] > *")];
    const quiet = form.hasAttribute("data-quiet");
    say(said.filter((one) => !quiet || !one.matches(".rm-said-success")));
    if (!stopped) {
      state("");
    }
    const control = focus();
    if (control) {
      control.focus();
    }
  } catch {
    sayText("Nothing was sent: the server cannot be reached. Try again in a moment.");
  } finally {
    home.removeAttribute("aria-busy");
    wait();
  }
}

function onSubmit(event) {
  const form = event.target;
  if (!form.matches("[data-act]")) {
    return;
  }
  event.preventDefault();
  const data = new FormData(form, event.submitter);
  const named = form.querySelector("[data-focus]");
  const focus =
    form.dataset.then === "next" ? nextAfter(form) : sameAgain(named ? named.dataset.focus : "");
  act(form, data, focus);
}

// --- Order: Alt with the arrows, or dragged ---------------------------------------------------

function onKey(event) {
  const line = event.target.closest("[data-lines] > li");
  if (!line || !event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) {
    return;
  }
  event.preventDefault();
  const form = line.querySelector(event.key === "ArrowUp" ? "[data-up]" : "[data-down]");
  if (form) {
    act(form, new FormData(form), sameAgain(`check-${line.dataset.id}`));
  }
}

let dragged = null;

function onDragStart(event) {
  dragged = event.target.closest ? event.target.closest("[data-lines] > li[data-move]") : null;
  if (dragged) {
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.id);
  }
}

function target(event) {
  const line = dragged && event.target.closest("[data-lines] > li");
  if (!line || line === dragged || line.parentElement !== dragged.parentElement) {
    return null;
  }
  const box = line.getBoundingClientRect();
  return { line, place: event.clientY < box.top + box.height / 2 ? "before" : "after" };
}

function unmark() {
  home.querySelectorAll("[data-drop]").forEach((line) => line.removeAttribute("data-drop"));
}

function onDragOver(event) {
  unmark();
  const found = target(event);
  if (found) {
    event.preventDefault();
    found.line.dataset.drop = found.place;
  }
}

function onDrop(event) {
  const found = target(event);
  unmark();
  if (!found) {
    return;
  }
  event.preventDefault();
  const form = dragged.querySelector("form[data-act]");
  const data = new FormData();
  data.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  data.set(found.place, found.line.dataset.id);
  data.set("item", dragged.dataset.id);
  const line = dragged;
  dragged = null;
  const move = document.createElement("form");
  move.action = line.dataset.move;
  move.dataset.quiet = "";
  act(move, data, sameAgain(`check-${line.dataset.id}`));
}

if (home) {
  home.addEventListener("submit", onSubmit);
  home.addEventListener("keydown", onKey);
  home.addEventListener("dragstart", onDragStart);
  home.addEventListener("dragover", onDragOver);
  home.addEventListener("drop", onDrop);
  home.addEventListener("dragend", unmark);
  document.addEventListener("visibilitychange", () => (document.hidden ? wait() : look()));
  window.addEventListener("online", look);
  window.addEventListener("offline", () => state("You are offline."));
  wait();
}
