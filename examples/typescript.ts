// The API with types: openapi-fetch knows every route, body and answer from clients/typescript, and
// the events of a stream are a union that the compiler tells apart by their type.
//
//   npm install openapi-fetch eventsource-parser
//   URL=http://127.0.0.1:8000 TOKEN=… node examples/typescript.ts "Add task: Milk"

import { EventSourceParserStream } from 'eventsource-parser/stream'
import createClient from 'openapi-fetch'
import type { Event, paths } from '../clients/typescript/taskchat'

const { URL: baseUrl = 'http://127.0.0.1:8000', TOKEN, USER_ID: user_id = 'demo' } = process.env
const headers = { Authorization: `Bearer ${TOKEN}` }
const { GET, POST } = createClient<paths>({ baseUrl, headers })
const path = { user_id }

/** The events of the turn that answers a message. */
async function* say(message: string): AsyncGenerator<Event> {
  const { data, error } = await POST('/api/{user_id}/chat', {
    params: { path },
    body: { message },
    headers: { Accept: 'text/event-stream' },
    parseAs: 'stream',
  })
  if (error) throw new Error(error.error)
  const events = (data as ReadableStream<Uint8Array<ArrayBuffer>>)
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
  for await (const { data } of events) yield JSON.parse(data)
}

for await (const event of say(process.argv[2] ?? 'What is on my list?')) {
  switch (event.type) {
    case 'tool_result':
      console.log(`${event.tool_name} took ${event.duration_ms.toFixed(0)} ms`)
      break
    case 'turn_completed':
      console.log(event.result.response, event.result.tool_calls.length)
      break
    case 'error':
      throw new Error(`${event.error_code}: ${event.error}`)
  }
}

const { data: tasks, error } = await GET('/api/{user_id}/tasks', { params: { path } })
if (error) throw new Error(error.error)
for (const task of tasks.data) console.log(task.id, task.title, task.completed)
