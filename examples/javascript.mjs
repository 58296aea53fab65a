// Says something and shows what happens, in plain JavaScript for Node and browsers. A break in the
// connection loses nothing: the turn goes on without us, and is read from where we were.
//
//   URL=http://127.0.0.1:8000 TOKEN=… node examples/javascript.mjs "Add task: Milk"

const { URL: url = 'http://127.0.0.1:8000', TOKEN, USER_ID = 'demo' } = process.env
const api = `${url}/api/${encodeURIComponent(USER_ID)}`
const headers = { Authorization: `Bearer ${TOKEN}`, Accept: 'text/event-stream' }
const PAUSES_MS = [100, 300, 1000, 3000, 10_000]

/** The events of a stream. */
async function* eventsOf(response) {
  if (!response.ok) {
    const { error, error_code } = await response.json()
    const final = response.status < 500 && response.status !== 429
    throw Object.assign(new Error(error), { final, code: error_code })
  }
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  for (let text = '', read; reader && !(read = await reader.read()).done; ) {
    const blocks = (text + read.value).split('\n\n')
    text = blocks.pop()
    for (const block of blocks) {
      const data = block.split('\n').find((line) => line.startsWith('data: '))
      if (data) yield JSON.parse(data.slice(6))
    }
  }
}

/** All events of the turn that answers a message, each once, over breaks of the connection. */
async function* say(message, conversation_id = null) {
  const key = crypto.randomUUID() // with it, saying it again is not saying it twice
  const begin = { ...headers, 'Content-Type': 'application/json', 'Idempotency-Key': key }
  const body = JSON.stringify({ message, conversation_id })
  for (let last, breaks = 0; ; breaks++) {
    try {
      const response = last
        ? await fetch(`${api}/turns/${last.turn_id}/events`, {
            headers: { ...headers, 'Last-Event-ID': `${last.seq}` },
          })
        : await fetch(`${api}/chat`, { method: 'POST', headers: begin, body })
      for await (const event of eventsOf(response)) {
        ;[last, breaks] = [event, 0]
        yield event
        if (event.type === 'turn_completed' || event.type === 'error') return
      }
      throw new Error('The connection broke off.')
    } catch (error) {
      if (error.final || breaks >= PAUSES_MS.length) throw error
    }
    await new Promise((done) => setTimeout(done, PAUSES_MS[breaks]))
  }
}

for await (const event of say(process.argv[2] ?? 'What is on my list?')) {
  if (event.type === 'tool_call') console.log(`→ ${event.tool_name}`, event.arguments)
  if (event.type === 'tool_result') console.log('←', event.result)
  if (event.type === 'stream_chunk') process.stdout.write(event.delta)
  if (event.type === 'turn_completed') console.log()
  if (event.type === 'error') process.exitCode = (console.error(event.error), 1)
}
