// Review by keys: each key presses what the page marks with it. Without this file all of it is
// buttons, links and forms.
"use strict";

const KEYS_OFF = "remembrancer.keys-off";

function typing(target) {
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

function open(place) {
  const found = document.querySelector(place);
  if (!found) {
    return;
  }
  if (found.tagName === "DETAILS") {
    found.open = true;
  }
  const first = found.querySelector("[data-first]");
  found.scrollIntoView({ block: "center" });
  if (first) {
    first.focus();
    if (first.tagName === "TEXTAREA") {
      first.setSelectionRange(first.value.length, first.value.length);
    }
  }
}

function decideByKeys(event) {
  const one = document.querySelector("[data-review]");
  const keys = document.querySelector("#rm-keys");
  if (!one || event.defaultPrevented || event.isComposing || (keys && keys.open)) {
    return;
  }
  const edit = event.target.closest("[data-edit]");
  if (edit && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    edit.querySelector("[data-save]").click();
    return;
  }
  if (edit && event.key === "Escape") {
    edit.closest("details").open = false;
    one.focus();
    return;
  }
  const off = localStorage.getItem(KEYS_OFF) === "1" && event.key !== "?";
  if (off || typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || event.repeat) {
    return;
  }
  const key = CSS.escape(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  const marked = document.querySelector(`[data-key~="${key}"]`);
  if (marked) {
    event.preventDefault();
    marked.click();
  }
}

// Before the page is whole: who decides quickly presses the next key as soon as there is a text.
document.addEventListener("keydown", decideByKeys);

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-send-on-change]").forEach((form) => {
    form.querySelectorAll("[data-plain]").forEach((button) => button.remove());
    form.addEventListener("change", () => form.requestSubmit());
  });

  document.querySelectorAll("[data-open]").forEach((link) =>
    link.addEventListener("click", (event) => {
      event.preventDefault();
      open(link.dataset.open);
    }),
  );

  // The memory itself stands in the middle of what is drawn around it.
  document.querySelectorAll("[data-graph]").forEach((graph) => {
    const self = graph.querySelector(".rm-node-self").getBoundingClientRect();
    const box = graph.getBoundingClientRect();
    graph.scrollLeft += self.left + self.width / 2 - box.left - box.width / 2;
    graph.scrollTop += self.top + self.height / 2 - box.top - box.height / 2;
  });

  const one = document.querySelector("[data-review]");
  const keys = document.querySelector("#rm-keys");
  if (!one || !keys) {
    return;
  }
  const help = document.querySelector("[data-help]");
  if (help) {
    help.hidden = false;
    help.addEventListener("click", () => keys.showModal());
  }
  const on = keys.querySelector("[data-keys-on]");
  on.checked = localStorage.getItem(KEYS_OFF) !== "1";
  on.addEventListener("change", () => localStorage.setItem(KEYS_OFF, on.checked ? "0" : "1"));
  const editing = document.querySelector("#edit[open]");
  if (editing) {
    open("#edit");
  } else {
    one.focus({ preventScroll: true });
  }
});
