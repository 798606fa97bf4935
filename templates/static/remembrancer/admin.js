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
