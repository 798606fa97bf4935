// Remembrancer for Amp: reports threads, prompts, tool results and turns to your server, and
// puts what it recalls beside a prompt. Copy it to ~/.config/amp/plugins/.
// More in docs/agents/amp.md.
//
// Address and key: REMEMBRANCER_URL and REMEMBRANCER_KEY, else what `remember config` wrote to
// ~/.config/remembrancer/config.json. Nothing here throws into Amp, and a prompt waits for the
// server WAIT_MS at most. What cannot be delivered waits in memory, in order, until the server is
// back or Amp ends.
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { homedir, hostname } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const WAIT_MS = 1500
const SEND_MS = 10_000
const END_MS = 1000
const RETRY_MS = [1000, 5000, 30_000]
const MOST_WAITING = 16 * 1024 * 1024 // characters

// The environment's key goes to the environment's address, never the file's key.
function settings(): { url: string; key: string } | null {
  const home = process.env.XDG_CONFIG_HOME || join(homedir(), ".config")
  const folder = process.env.REMEMBRANCER_SHIM_HOME || join(home, "remembrancer")
  let file: { url?: string; key?: string; allow_http?: boolean } = {}
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

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref?.()
  })
}

type Job = {
  id: string
  time: string
  body: string
  until: AbortSignal
  answer: ((told: string) => void) | null
}

// Sends payloads one at a time, oldest first, each until the server has it.
function outbox(address: string, key: string) {
  const waiting: Job[] = []
  let size = 0
  let failures = 0
  let working: Promise<void> | null = null

  async function attempt(job: Job): Promise<string> {
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

  async function work(): Promise<void> {
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

  function drop(place: number): void {
    for (const job of waiting.splice(place, 1)) {
      size -= job.body.length
      if (place > 0) job.answer?.("")
    }
  }

  // Resolves to the context that came back: to "" at once where nobody asks for it or the server is
  // away, and after WAIT_MS, when the payload is sent again without asking.
  function send(payload: object, asks: boolean): Promise<string> {
    const job: Job = {
      id: randomUUID(),
      time: new Date().toISOString(),
      body: JSON.stringify(payload),
      until: AbortSignal.timeout(WAIT_MS),
      answer: null,
    }
    const told: Promise<string> =
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
  const flush = (): Promise<unknown> => Promise.race([working, sleep(END_MS)])
  return { send, flush }
}

// What is used of Amp's plugin API (https://ampcode.com/manual/plugin-api).
type Thread = { thread: { id: string } }
type Block = { type: string; text?: string }
type Events = {
  "session.start": Thread
  "agent.start": Thread & { id: string | number; message: string }
  "tool.result": Thread & {
    toolUseID: string
    tool: string
    input: object
    status: string
    error?: string
    output?: unknown
  }
  "agent.end": Thread & {
    id: string | number
    status: string
    messages: { role: string; content: Block[] }[]
  }
}
type Answer = { message: { content: string; display: boolean } } | undefined
type Amp = {
  on<E extends keyof Events>(event: E, handler: (event: Events[E]) => Promise<Answer>): unknown
  onDispose?: (work: () => Promise<void>) => unknown
  system?: { workspaceRoot?: { toString(): string } | null }
}

// The folder that Amp works in: its plugins run in their own. Undefined where it has none open.
function folder(amp: Amp): string | undefined {
  try {
    const root = amp.system?.workspaceRoot
    return root === undefined ? process.cwd() : fileURLToPath(String(root))
  } catch {
    return undefined
  }
}

function lastWords(messages: Events["agent.end"]["messages"]): string {
  const said = messages.filter((message) => message.role === "assistant").at(-1)
  const texts = said?.content.filter((block) => block.type === "text") ?? []
  return texts.map((block) => block.text ?? "").join("\n\n")
}

export default function remembrancer(amp: Amp): void {
  const found = settings()
  if (found === null) return
  // Whatever is wrong here, Amp goes on.
  const on = <E extends keyof Events>(
    event: E,
    work: (event: Events[E]) => Promise<Answer> | void,
  ) =>
    amp.on(event, async (given) => {
      try {
        return (await work(given)) ?? undefined
      } catch {
        return undefined
      }
    })
  const { send, flush } = outbox(`${found.url}/api/v1/hooks/amp`, found.key)
  const begun = new Map<string, Promise<string>>() // by thread: what was recalled at its start
  const open = new Set<string>()
  const cwd = folder(amp)

  on("session.start", ({ thread }) => {
    open.add(thread.id)
    begun.set(thread.id, send({ event: "session.start", thread, cwd }, true))
  })

  on("agent.start", async ({ thread, id, message }) => {
    open.add(thread.id)
    const atStart = begun.get(thread.id)
    begun.delete(thread.id)
    const now = send({ event: "agent.start", thread, cwd, id, message }, true)
    const told = (await Promise.all([atStart, now])).filter(Boolean).join("\n\n")
    return told ? { message: { content: told, display: false } } : undefined
  })

  // tool.call would ask for a decision on each call; the result says the call as well.
  on("tool.result", ({ thread, toolUseID, tool, input, status, error, output }) => {
    const payload = { event: "tool.result", thread, cwd, toolUseID, tool, input, status }
    send({ ...payload, error, output }, false)
  })

  on("agent.end", ({ thread, id, status, messages }) => {
    const text = lastWords(messages)
    send({ event: "agent.end", thread, cwd, id, status, text }, false)
  })

  amp.onDispose?.(async () => {
    for (const id of open) send({ event: "session.end", thread: { id }, cwd }, false)
    await flush()
  })
}
