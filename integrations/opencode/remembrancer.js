// Remembrancer for OpenCode: reports sessions, prompts, tool calls and turns to your server, and
// puts what it recalls beside a prompt. Copy it to ~/.config/opencode/plugins/.
// More in docs/agents/opencode.md.
//
// Address and key: REMEMBRANCER_URL and REMEMBRANCER_KEY, else what `remember config` wrote to
// ~/.config/remembrancer/config.json. Nothing here throws into OpenCode, and a prompt waits for the
// server WAIT_MS at most. What cannot be delivered waits in memory, in order, until the server is
// back or OpenCode ends.
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { homedir, hostname } from "node:os"
import { join } from "node:path"

const WAIT_MS = 1500
const SEND_MS = 10_000
const END_MS = 1000
const RETRY_MS = [1000, 5000, 30_000]
const MOST_WAITING = 16 * 1024 * 1024 // characters

// The environment's key goes to the environment's address, never the file's key.
function settings() {
  const home = process.env.XDG_CONFIG_HOME || join(homedir(), ".config")
  const folder = process.env.REMEMBRANCER_SHIM_HOME || join(home, "remembrancer")
  let file = {}
  try {
    file = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) ?? {}
  } catch {}
  const own = process.env.REMEMBRANCER_KEY
  const address = (own && process.env.REMEMBRANCER_URL) || file.url
  const key = own || file.key
  if (!address || !key || !URL.canParse(address)) return null
  const { protocol, hostname: host } = new URL(address)
  const near = /^(localhost|\[::1\]|127(\.\d+){3})$/.test(host)
  const plain = protocol === "http:" && (near || file.allow_http === true)
  return protocol === "https:" || plain ? { url: address.replace(/\/+$/, ""), key } : null
}

function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref?.()
  })
}

// Sends payloads one at a time, oldest first, each until the server has it.
function outbox(address, key) {
  const waiting = []
  let size = 0
  let failures = 0
  let working = null

  async function attempt(job) {
    const asks = job.answer !== null
    const answer = await fetch(address, {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        "x-remembrancer-delivery": job.id,
        "x-remembrancer-time": job.time,
        "x-remembrancer-sent": new Date().toISOString(),
        "x-remembrancer-host": encodeURIComponent(hostname()),
        ...(asks ? {} : { prefer: "return=minimal" }),
      },
      body: job.body,
      redirect: "error",
      signal: asks ? job.until : AbortSignal.timeout(SEND_MS),
    })
    const text = await answer.text()
    // The payload itself is refused, and would be every time.
    if ([400, 404, 413, 422].includes(answer.status)) return ""
    if (!answer.ok) throw new Error(`status ${answer.status}`)
    const told = JSON.parse(text).additionalContext
    return typeof told === "string" ? told : ""
  }

  async function work() {
    while (waiting.length > 0) {
      const job = waiting[0]
      try {
        const told = await attempt(job)
        failures = 0
        drop(0)
        job.answer?.(told)
      } catch {
        failures += 1
        job.answer?.("")
        job.answer = null
        await sleep(RETRY_MS[Math.min(failures, RETRY_MS.length) - 1])
      }
    }
    working = null
  }

  function drop(place) {
    for (const job of waiting.splice(place, 1)) {
      size -= job.body.length
      if (place > 0) job.answer?.("")
    }
  }

  // Resolves to the context that came back: to "" at once where nobody asks for it or the server is
  // away, and after WAIT_MS, when the payload is sent again without asking.
  function send(payload, asks) {
    const job = {
      id: randomUUID(),
      time: new Date().toISOString(),
      body: JSON.stringify(payload),
      until: AbortSignal.timeout(WAIT_MS),
      answer: null,
    }
    const told =
      asks && failures === 0
        ? new Promise((resolve) => {
            job.answer = resolve
            job.until.addEventListener("abort", () => {
              job.answer = null
              resolve("")
            })
          })
        : Promise.resolve("")
    waiting.push(job)
    size += job.body.length
    // The first may be on its way.
    while (size > MOST_WAITING && waiting.length > 1) drop(1)
    working ??= work()
    return told
  }

  // Until everything is sent, END_MS at most.
  const flush = () => Promise.race([working, sleep(END_MS)])
  return { send, flush }
}

const REPORTED = new Set([
  "session.created", "session.idle", "session.error", "session.compacted", "session.deleted",
  "permission.asked", "permission.updated",
])

export const Remembrancer = async ({ client, directory }) => {
  const found = settings()
  if (found === null) return {}
  const { send, flush } = outbox(`${found.url}/api/v1/hooks/opencode`, found.key)
  const begun = new Map() // by session: what was recalled at its start
  const open = new Set()
  const titles = new Map()

  // Whatever is wrong here, OpenCode goes on.
  const quietly = (work) => async (input, output) => {
    try {
      await work(input, output)
    } catch {}
  }

  async function lastWords(session) {
    const { data } = await client.session.messages({ path: { id: session }, query: { limit: 1 } })
    const last = data?.at(-1)
    if (last?.info.role !== "assistant") return ""
    const texts = last.parts.filter((part) => part.type === "text" && !part.synthetic)
    return texts.map((part) => part.text).join("\n\n")
  }

  return {
    event: quietly(async ({ event }) => {
      const session = event.properties?.sessionID ?? event.properties?.info?.id
      if (event.type === "session.updated") {
        const title = event.properties.info?.title
        if (!open.has(session) || titles.get(session) === title) return
        titles.set(session, title)
      } else if (!REPORTED.has(event.type)) return
      const payload = { event, directory }
      if (event.type === "session.created") {
        open.add(session)
        begun.set(session, send(payload, true))
        return
      }
      if (event.type === "session.idle") payload.text = await lastWords(session).catch(() => "")
      if (event.type === "session.deleted") open.delete(session)
      send(payload, false)
    }),

    "chat.message": quietly(async (input, output) => {
      open.add(input.sessionID)
      const atStart = begun.get(input.sessionID)
      begun.delete(input.sessionID)
      const now = send({ event: "chat.message", input, output, directory }, true)
      const told = (await Promise.all([atStart, now])).filter(Boolean)
      const last = output.parts.at(-1)
      if (told.length === 0 || !last) return
      output.parts.push({
        id: `${last.id}r`, // parts are kept in the order of their ids
        sessionID: input.sessionID,
        messageID: output.message.id,
        type: "text",
        text: told.join("\n\n"),
        synthetic: true,
      })
    }),

    "tool.execute.before": quietly((input, output) => {
      send({ event: "tool.execute.before", input, output, directory }, false)
    }),

    "tool.execute.after": quietly((input, output) => {
      send({ event: "tool.execute.after", input, output, directory }, false)
    }),

    dispose: quietly(async () => {
      for (const sessionID of open) {
        send({ event: { type: "session.end", properties: { sessionID } }, directory }, false)
      }
      await flush()
    }),
  }
}
