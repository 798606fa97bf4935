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
