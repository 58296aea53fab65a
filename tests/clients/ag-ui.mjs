// Does what it reads, line by line, with the AG-UI client, and prints what became of it.
//
//   {"do": "run", "thread": …, "url"?: …, "headers"?: …, "say"?: …, "id"?: …, "resume"?: […],
//    "leave"?: after how many deltas}
//   {"do": "new"}  forgets all that it has, as a page that is loaded again
import { createInterface } from "node:readline";
import { EventType, HttpAgent } from "@ag-ui/client";

const [url, token] = process.argv.slice(2);

function agentOf(thread) {
  return new HttpAgent({ url, threadId: thread, headers: { Authorization: `Bearer ${token}` } });
}

let agent = null;

async function run(order) {
  agent ??= agentOf(order.thread);
  if (order.say !== undefined) {
    agent.addMessage({ id: order.id, role: "user", content: order.say });
  }
  if (order.url !== undefined) agent.url = order.url;
  agent.headers = { Authorization: `Bearer ${token}`, ...order.headers };
  const events = [];
  let outcome = null;
  let error = null;
  let deltas = 0;
  try {
    await agent.runAgent(
      { runId: order.run, resume: order.resume },
      {
        onEvent({ event }) {
          events.push(event.type);
          if (event.type === EventType.TEXT_MESSAGE_CONTENT) deltas += 1;
          if (order.leave != null && deltas >= order.leave) agent.abortRun();
        },
        onRunFinishedEvent({ event, ...params }) {
          outcome = { ...event.outcome, kind: params.outcome, result: event.result };
        },
        onRunErrorEvent({ event }) {
          error = { message: event.message, code: event.code };
        },
        onRunFailed({ error: failure }) {
          error ??= { message: failure.message };
        },
      },
    );
  } catch (failure) {
    error ??= { message: failure.message };
  }
  return { events, outcome, error, messages: agent.messages, state: agent.state };
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  if (order.do === "new") {
    agent = null;
    console.log("{}");
  } else {
    console.log(JSON.stringify(await run(order)));
  }
}
