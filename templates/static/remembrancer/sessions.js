// Reading sessions: finding words in a conversation, keys of the timeline. Pages work without it.
"use strict";

const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

// A table of contents is open beside the text, and closed where it would stand before it.
if (window.matchMedia("(max-width: 1399px)").matches) {
  document.querySelectorAll("[data-narrow-closed]").forEach((fold) => { fold.open = false; });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) {
    return;
  }
  const link = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (link) {
    event.preventDefault();
    link.click();
  }
});

class Finder {
  constructor(form) {
    this.form = form;
    this.input = form.querySelector("input");
    this.count = form.querySelector("[data-find-count]");
    this.steps = form.querySelectorAll("[data-find-step]");
    this.list = form.parentElement.querySelector("[data-find-list]");
    this.matches = [];
    this.at = -1;
    this.asked = "";
    form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(1); });
    this.input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.look(), 250);
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        this.submit(-1);
      } else if (event.key === "Escape") {
        this.input.value = "";
        this.look();
        this.input.blur();
      }
    });
    this.steps.forEach((one) => one.addEventListener("click", () => this.step(Number(one.dataset.findStep))));
    this.list.addEventListener("click", (event) => {
      const link = event.target.closest("[data-idx]");
      if (link && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        this.show(this.matches.indexOf(link));
      }
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !event.ctrlKey && !event.metaKey && !typing(event.target)) {
        event.preventDefault();
        this.input.focus();
        this.input.select();
      }
    });
    document.addEventListener("htmx:afterSettle", () => this.paint());
    if (this.input.value) {
      this.look(Number(form.dataset.at));
    }
  }

  async look(at = -1) {
    const words = this.input.value.trim();
    this.asked = words;
    if (!words) {
      this.list.replaceChildren();
      this.take(-1);
      return;
    }
    const query = new URLSearchParams({ q: words, part: "1" });
    const answer = await fetch(`${this.form.action}?${query}`, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected || this.asked !== words) {
      return;
    }
    // The server's own page, escaped there.
    this.list.innerHTML = await answer.text();
    this.take(at);
  }

  take(at) {
    this.matches = [...this.list.querySelectorAll("[data-idx]")];
    this.list.hidden = !this.matches.length || at >= 0;
    this.steps.forEach((one) => { one.hidden = !this.matches.length; });
    this.at = this.matches.findIndex((one) => Number(one.dataset.idx) === at);
    this.say();
    this.paint();
  }

  say() {
    const more = this.list.querySelector("[data-more]") ? "+" : "";
    const total = this.matches.length;
    const place = this.at < 0 ? "" : `${this.at + 1} of `;
    this.count.textContent = !this.asked ? "" : total || more ? `${place}${total}${more}` : "Nothing found";
    this.matches.forEach((one, n) => {
      if (n === this.at) {
        one.setAttribute("aria-current", "true");
        one.scrollIntoView({ block: "nearest" });
      } else {
        one.removeAttribute("aria-current");
      }
    });
  }

  async submit(way) {
    clearTimeout(this.timer);
    if (this.asked !== this.input.value.trim()) {
      await this.look();
    }
    this.step(way);
  }

  step(way) {
    if (this.matches.length) {
      const from = this.at < 0 && way < 0 ? 0 : this.at;
      this.show((from + way + this.matches.length) % this.matches.length);
    }
  }

  show(n) {
    const link = this.matches[n];
    const target = document.getElementById(`m-${link.dataset.idx}`);
    if (!target) {
      // Not loaded: the address opens the conversation there, with the same words.
      location.assign(link.href);
      return;
    }
    this.at = n;
    this.list.hidden = true;
    this.say();
    for (let fold = target.closest("details") || target.querySelector("details"); fold; fold = fold.parentElement.closest("details")) {
      fold.open = true;
    }
    document.querySelectorAll(".rm-found").forEach((one) => one.classList.remove("rm-found"));
    target.closest(".rm-part").classList.add("rm-found");
    target.scrollIntoView({ block: "center" });
    history.replaceState(null, "", link.href);
    this.paint();
  }

  // Marks the words where they stand, without changing the page's elements.
  paint() {
    if (!window.Highlight) {
      return;
    }
    CSS.highlights.delete("rm-find");
    const words = this.asked.toLowerCase();
    if (!words) {
      return;
    }
    const ranges = [];
    const walker = document.createTreeWalker(document.getElementById("conversation"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode() && ranges.length < 5000) {
      const node = walker.currentNode;
      if (!node.parentElement.closest(".rm-part")) {
        continue;
      }
      const text = node.data.toLowerCase();
      for (let from = text.indexOf(words); from >= 0; from = text.indexOf(words, from + words.length)) {
        const range = new Range();
        range.setStart(node, from);
        range.setEnd(node, from + words.length);
        ranges.push(range);
      }
    }
    CSS.highlights.set("rm-find", new window.Highlight(...ranges));
  }
}

document.querySelectorAll("[data-find]").forEach((form) => new Finder(form));
