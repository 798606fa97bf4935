// Plays the part of OpenCode or Amp: loads a plugin, gives it what its host would, a JSON line for
// each step on standard input, and prints what came of it. `node host.mjs opencode|amp FILE`.
import { createInterface } from "node:readline"
import { pathToFileURL } from "node:url"

const [kind, file] = process.argv.slice(2)
const module = await import(pathToFileURL(file))

async function opencode() {
  const [plugin] = Object.values(module)
  let messages = []
  const client = { session: { messages: async () => ({ data: messages }) } }
  const hooks = await plugin({ client, directory: process.cwd(), worktree: process.cwd() })
  return async (name, input, output) => {
    if (name === "messages") messages = input
    else await hooks[name]?.(input, output)
    return output ?? null
  }
}

async function amp() {
  const handlers = {}
  const told = process.env.AMP_ROOT // JSON; not there as in versions that do not say it
  module.default({
    system: told && { workspaceRoot: JSON.parse(told) },
    on: (event, handler) => (handlers[event] = handler),
    onDispose: (work) => (handlers.dispose = work),
  })
  return async (name, event) => (await handlers[name]?.(event)) ?? null
}

const step = await { opencode, amp }[kind]()
console.log("ready")
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await step(...JSON.parse(line))))
}
