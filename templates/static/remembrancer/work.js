// Ordered lists on a page ([data-moves]): rows are moved by dragging and by Shift with an arrow key.
// Each move is one POST; its answer replaces the lists, so that what others did meanwhile shows.
// Without this script the same page works by its buttons.
"use strict";

const page = document.querySelector("[data-moves]");
const live = document.querySelector("[data-live-said]");
let queue = Promise.resolve();

function columns() {
  return [...page.querySelectorAll("[data-column]")];
}

function items(column) {
  return [...column.querySelectorAll(":scope > [data-item]")];
}

function say(text) {
  live.textContent = "";
  // Emptied first: a screen reader reads what is new.
  requestAnimationFrame(() => {
    live.textContent = text;
  });
}

function find(id) {
  return page.querySelector(`[data-item="${CSS.escape(id)}"]`);
}

function refocus(key) {
  const item = key.item && find(key.item);
  const wanted = key.focus
    ? page.querySelector(`[data-focus="${CSS.escape(key.focus)}"]`)
    : item && item.querySelector("[data-grip]");
  if (wanted) {
    wanted.focus();
    wanted.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

async function send(data, url, key) {
  data.set("part", "1");
  page.classList.add("rm-busy");
  try {
    const response = await fetch(url, { method: "POST", body: data, redirect: "manual" });
    if (!response.ok && response.status !== 409) {
      throw new Error(`the server answered ${response.status}`);
    }
    page.innerHTML = await response.text();
    arm();
    refocus(key);
    say(page.querySelector("[data-said]")?.textContent ?? "");
  } catch (error) {
    say(`Nothing was moved: ${error.message}.`);
    page.prepend(problem(`Nothing was moved: ${error.message}. Load the page again.`));
  } finally {
    page.classList.remove("rm-busy");
  }
}

function problem(text) {
  const shown = document.createElement("p");
  shown.className = "rm-said rm-said-problem";
  shown.setAttribute("role", "alert");
  shown.textContent = text;
  return shown;
}

// Beside what it stands then: `beside` is read when its turn comes, after the moves before it.
function move(id, where) {
  queue = queue.then(() => {
    const item = find(id);
    const place = item && where(item);
    if (!place) {
      return undefined;
    }
    const data = new FormData(document.getElementById("rm-moves"));
    data.set("item", id);
    data.set("version", item.dataset.version);
    Object.entries(place).forEach(([name, value]) => data.set(name, value));
    return send(data, page.dataset.moves, { item: id });
  });
}

// --- Keyboard ----------------------------------------------------------------------------------

function neighbour(item, key) {
  const column = item.closest("[data-column]");
  const all = items(column);
  const index = all.indexOf(item);
  if (key === "ArrowUp" || key === "ArrowDown") {
    const other = all[index + (key === "ArrowUp" ? -1 : 1)];
    return other && { column, other, before: key === "ArrowUp" };
  }
  const lists = columns();
  const target = lists[lists.indexOf(column) + (key === "ArrowLeft" ? -1 : 1)];
  if (!target) {
    return undefined;
  }
  const there = items(target);
  const other = there[Math.min(index, there.length - 1)];
  return { column: target, other, before: index < there.length };
}

function placeOf(found) {
  const place = { column: found.column.dataset.column };
  if (found.other) {
    place[found.before ? "before" : "after"] = found.other.dataset.item;
  } else {
    place.place = "top";
  }
  return place;
}

function onKey(event) {
  const grip = event.target.closest("[data-grip]");
  if (!grip || !event.key.startsWith("Arrow") || event.ctrlKey || event.altKey || event.metaKey) {
    return;
  }
  event.preventDefault();
  const item = grip.closest("[data-item]");
  if (event.shiftKey) {
    move(item.dataset.item, (now) => {
      const found = neighbour(now, event.key);
      if (!found) {
        say("It cannot go further that way.");
      }
      return found && placeOf(found);
    });
    return;
  }
  let found = neighbour(item, event.key);
  // Over empty lists to the next one that has rows.
  while (found && !found.other) {
    const lists = columns();
    const next = lists[lists.indexOf(found.column) + (event.key === "ArrowLeft" ? -1 : 1)];
    found = next && { column: next, other: items(next)[0] };
  }
  found?.other?.querySelector("[data-grip]").focus();
}

// --- Dragging ----------------------------------------------------------------------------------

const mark = document.createElement("li");
mark.className = "rm-drop";
let dragged = null;

function below(column, y) {
  return items(column).find((item) => {
    const box = item.getBoundingClientRect();
    return item !== dragged && y < box.top + box.height / 2;
  });
}

function arm() {
  page.querySelectorAll("[data-item]").forEach((item) => {
    item.draggable = true;
    // A link is dragged as its address otherwise.
    item.querySelectorAll("a").forEach((link) => {
      link.draggable = false;
    });
  });
}

function onDrop(event) {
  const column = event.target.closest("[data-column]");
  if (!dragged || !column) {
    return;
  }
  event.preventDefault();
  const next = below(column, event.clientY);
  const last = items(column).filter((item) => item !== dragged).at(-1);
  const found = { column, other: next || last, before: Boolean(next) };
  move(dragged.dataset.item, () => placeOf(found));
}

function onOver(event) {
  const column = event.target.closest("[data-column]");
  if (dragged && column) {
    event.preventDefault();
    column.insertBefore(mark, below(column, event.clientY) ?? null);
  }
}

// --- Buttons and small forms, without loading the page anew ---------------------------------------

function onSubmit(event) {
  if (!event.target.matches("[data-inplace]")) {
    return;
  }
  event.preventDefault();
  const data = new FormData(event.target, event.submitter);
  const item = event.submitter?.closest("[data-item]")?.dataset.item;
  const focus = event.target.dataset.after ?? event.submitter?.dataset.after;
  queue = queue.then(() => send(data, event.target.action, { item, focus }));
}

if (page) {
  arm();
  page.addEventListener("keydown", onKey);
  page.addEventListener("submit", onSubmit);
  page.addEventListener("dragstart", (event) => {
    dragged = event.target.closest("[data-item]");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.item);
    dragged.classList.add("rm-dragged");
  });
  page.addEventListener("dragover", onOver);
  page.addEventListener("drop", onDrop);
  page.addEventListener("dragend", () => {
    dragged?.classList.remove("rm-dragged");
    dragged = null;
    mark.remove();
  });
}
