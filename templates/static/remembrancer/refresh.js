// A part of a page that is under way ([data-refresh] around [data-active]) is read anew until it is
// not any more. The focus stays on the button it was on, if that is still there.
"use strict";

const EVERY = 1200;
const part = document.querySelector("[data-refresh]");

function focused() {
  const form = document.activeElement?.closest("[data-refresh] form");
  return form && form.getAttribute("action");
}

async function refresh() {
  const response = await fetch(part.dataset.refresh, { redirect: "manual" }).catch(() => null);
  if (response?.ok) {
    const action = focused();
    part.innerHTML = await response.text();
    part.querySelector(`form[action="${action}"] button`)?.focus();
  }
  if (!response || response.ok || response.status >= 500) {
    watch();
  }
}

function watch() {
  if (part.querySelector("[data-active]")) {
    setTimeout(refresh, EVERY);
  }
}

if (part) {
  watch();
}
