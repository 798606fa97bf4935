// Files are sent in pieces, one after the other; a piece that did not get through is sent again. The
// run's page takes over when all of them are there. Without this the form sends them whole.
"use strict";

const form = document.querySelector("#upload_form");
const TRIES = 6;

// Unfold would write the name of the file into a text field beside its own kind of file field.
form?.querySelectorAll("[type=file]").forEach((one) => { one.hasChangeListener = true; });

function say(text, wrong) {
  const said = form.querySelector("[data-said]");
  said.hidden = !text;
  said.textContent = text;
  said.classList.toggle("rm-problem", Boolean(wrong));
}

function show(sent, all) {
  const meter = form.querySelector("[role=progressbar]");
  const share = all ? Math.floor((100 * sent) / all) : 100;
  form.querySelector("[data-going]").hidden = false;
  meter.setAttribute("aria-valuenow", share);
  meter.firstElementChild.style.width = `${share}%`;
}

async function post(address, body, headers = {}) {
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const answer = await fetch(address, {
    method: "POST", body, headers: { "X-CSRFToken": token, ...headers }, redirect: "error",
  });
  const told = await answer.json().catch(() => ({}));
  return { status: answer.status, told };
}

// The answer of a piece that got through, or was there already.
async function sendPiece(address, piece) {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await post(address, piece, { "Content-Type": "application/octet-stream" })
      .catch(() => null);
    if (answer && (answer.status === 200 || answer.status === 409)) {
      return answer;
    }
    if ((answer && answer.status < 500) || attempt === TRIES) {
      throw new Error(answer?.told.problem || "the connection broke off");
    }
    await new Promise((done) => setTimeout(done, 500 * 2 ** attempt));
  }
}

async function send(files) {
  const names = new URLSearchParams();
  files.forEach((file) => { names.append("name", file.name); names.append("size", file.size); });
  const begun = await post(form.dataset.begin, names);
  if (begun.status !== 200) {
    throw new Error(begun.told.problem || "the upload was refused");
  }
  const all = files.reduce((sum, file) => sum + file.size, 0);
  const most = Number(form.dataset.piece);
  let before = 0;
  for (const [number, file] of files.entries()) {
    let offset = 0;
    do {
      const piece = file.slice(offset, offset + most);
      const address = `${begun.told.piece}?file=${number}&offset=${offset}`;
      const answer = await sendPiece(address, piece);
      if (answer.status === 409 && !(answer.told.size > offset)) {
        throw new Error(answer.told.problem);
      }
      offset = answer.told.size;
      show(before + offset, all);
    } while (offset < file.size);
    before += file.size;
  }
  return begun.told.page;
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = [...form.querySelector("[type=file]").files];
  const button = form.querySelector("[type=submit]");
  if (files.reduce((sum, file) => sum + file.size, 0) > Number(form.dataset.limit)) {
    say("These files are larger than what is taken.", true);
    return;
  }
  button.disabled = true;
  say("Uploading …");
  try {
    location.assign(await send(files));
  } catch (error) {
    say(`The upload did not work: ${error.message}.`, true);
    button.disabled = false;
  }
});
