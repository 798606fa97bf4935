// The little behaviour our own pages add to unfold's. No stored text is ever evaluated here.
"use strict";

// A form that asks before it does what cannot be taken back.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset ? event.target.dataset.confirm : "";
  if (question && !window.confirm(question)) {
    event.preventDefault();
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) {
    return;
  }
  const source = document.querySelector(button.dataset.copy);
  navigator.clipboard.writeText(source.textContent).then(() => {
    button.querySelector("span:last-child").textContent = "Copied";
  });
});

// A link to a message inside a folded result opens what folds it.
function reveal() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (!target) {
    return;
  }
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
    fold.open = true;
  }
  target.scrollIntoView({ block: "center" });
}

window.addEventListener("hashchange", reveal);
window.addEventListener("load", reveal);

// What a worker prints, while somebody looks and more may come.
const WATCH_EVERY = 2000;

async function watch(shown) {
  const answer = await fetch(shown.dataset.live, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) {
    return;
  }
  const text = await answer.text();
  if (text !== shown.textContent) {
    const atEnd = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 40;
    shown.textContent = text;
    if (atEnd) {
      shown.scrollTop = shown.scrollHeight;
    }
  }
  if (answer.headers.get("X-Live") === "1") {
    setTimeout(watch, WATCH_EVERY, shown);
  }
}

window.addEventListener("load", () => {
  document.querySelectorAll("[data-live]").forEach((shown) => setTimeout(watch, WATCH_EVERY, shown));
});

// Pings as notifications of the browser, while a page of ours is open and the person allowed it.
// Tabs share what was asked when, and what was shown, so that each ping shows once.
const PINGS = {
  url: "/admin/pings/new/",
  every: 20000,
  kept: 200,
  read: (name, otherwise) => JSON.parse(localStorage.getItem(`remembrancer.${name}`) || "null") ?? otherwise,
  write: (name, value) => localStorage.setItem(`remembrancer.${name}`, JSON.stringify(value)),
};

function allowed() {
  return "Notification" in window && Notification.permission === "granted";
}

function showPing(ping) {
  const shown = new Notification(ping.title, { body: ping.body, tag: ping.id });
  shown.addEventListener("click", () => {
    window.focus();
    location.assign(ping.url);
  });
}

async function askForPings() {
  const now = Date.now();
  if (!allowed() || now - PINGS.read("asked", 0) < PINGS.every * 0.9) {
    return true;
  }
  PINGS.write("asked", now);
  const after = PINGS.read("cursor", "");
  const query = after ? `?after=${encodeURIComponent(after)}` : "";
  const response = await fetch(PINGS.url + query, { redirect: "manual" });
  if (!response.ok) {
    // Busy passes; signed out does not.
    return response.status >= 500;
  }
  const found = await response.json();
  const known = PINGS.read("shown", []);
  const fresh = found.items.filter((ping) => !known.includes(ping.id));
  PINGS.write("shown", [...fresh.map((ping) => ping.id), ...known].slice(0, PINGS.kept));
  PINGS.write("cursor", found.cursor);
  fresh.reverse().forEach(showPing);
  return true;
}

async function watchPings() {
  const goOn = await askForPings().catch(() => true);
  if (goOn) {
    setTimeout(watchPings, PINGS.every);
  }
}

window.addEventListener("load", () => {
  const button = document.querySelector("[data-notify]");
  if (button && "Notification" in window && Notification.permission === "default") {
    button.hidden = false;
    // Browsers ask the person only after a click, and rightly.
    button.addEventListener("click", async () => {
      button.hidden = (await Notification.requestPermission()) !== "default";
      if (allowed()) {
        watchPings();
      }
    });
  }
  if (allowed()) {
    watchPings();
  }
});

// Select2 names its boxes by what is chosen, so an empty one has no name: the field's label is put
// before it as soon as the box is there, which may be before or after the page has loaded.
function nameBoxes() {
  document.querySelectorAll("select.select2-hidden-accessible").forEach((select) => {
    const label = select.labels && select.labels[0];
    const box = select.nextElementSibling && select.nextElementSibling.querySelector("[role=combobox]");
    if (!label || !box) {
      return;
    }
    label.id = label.id || `label-${select.id}`;
    box.querySelectorAll("[role=textbox]").forEach((one) => one.setAttribute("aria-labelledby", label.id));
    const shown = box.querySelector(".select2-selection__rendered");
    box.setAttribute("aria-labelledby", shown && shown.id ? `${label.id} ${shown.id}` : label.id);
  });
}
new MutationObserver((changes) => {
  const isBox = (node) => node.nodeType === 1 && node.matches(".select2-container");
  if (changes.some((change) => [...change.addedNodes].some(isBox))) {
    nameBoxes();
  }
}).observe(document.documentElement, {childList: true, subtree: true});
