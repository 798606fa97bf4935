// The search page without waiting: choices search at once, a verdict stays on the page.
"use strict";

const form = document.querySelector("[data-search]");

if (form) {
  // What is empty says nothing, and makes the address long.
  form.addEventListener("submit", () => {
    const empty = [...form.elements].filter((one) => one.name && !one.value.trim());
    empty.forEach((one) => { one.disabled = true; });
    // A browser that comes back shows the page as it left it.
    setTimeout(() => empty.forEach((one) => { one.disabled = false; }));
  });
  form.addEventListener("change", (event) => {
    const choice = event.target.matches("[type=radio], .rm-search-lines [type=checkbox]");
    if (choice && (form.elements.q.value.trim() || document.querySelector(".rm-hits"))) {
      form.requestSubmit();
    }
  });
}

// A reload and the way back go on with this search, instead of making another one.
const receipt = document.querySelector("[data-receipt]");
if (receipt) {
  history.replaceState(history.state, "", receipt.dataset.receipt + location.hash);
}

async function judge(verdicts, chosen) {
  const said = verdicts.querySelector("[data-said]");
  const body = new FormData(verdicts, chosen);
  const note = verdicts.parentElement.querySelector("[data-note]");
  body.set("note", note.elements.note.value);
  const answer = await fetch(verdicts.action, {
    method: "POST",
    body,
    headers: { Accept: "application/json" },
    credentials: "same-origin",
  }).catch(() => null);
  const told = answer && !answer.redirected ? await answer.json().catch(() => null) : null;
  if (!told || !answer.ok) {
    said.textContent = (told && told.detail) || "It could not be noted; try again.";
    said.classList.remove("rm-unseen");
    return;
  }
  verdicts.querySelectorAll("button[name=verdict]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.value === told.verdict));
  });
  note.elements.verdict.value = told.verdict;
  note.hidden = false;
  said.textContent = `Noted: ${told.verdict}`;
}

document.addEventListener("submit", (event) => {
  const verdicts = event.target.closest("[data-feedback]");
  if (verdicts && event.submitter) {
    event.preventDefault();
    judge(verdicts, event.submitter);
  }
});
