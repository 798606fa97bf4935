// One prompt to the local agent of Cursor's SDK: `node cursor.mjs SDK PROMPT [AGENT]`, where AGENT
// is one to go on with. Prints its id and its answer as JSON.
import { pathToFileURL } from "node:url"

const [sdk, prompt, name] = process.argv.slice(2)
const { Agent } = await import(pathToFileURL(sdk))
const options = {
  apiKey: "anything",
  model: { id: "test" },
  local: { cwd: process.cwd(), settingSources: ["user"] },
}
const agent = name ? await Agent.resume(name, options) : await Agent.create(options)
const run = await agent.send(prompt)
const { status, result } = await run.wait()
console.log(JSON.stringify({ agent: agent.agentId, status, result }))
await agent[Symbol.asyncDispose]()
process.exit(0)
