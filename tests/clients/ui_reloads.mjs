// Pages that are reloaded at random moments of a running turn, each time on another process.
//
// At every moment a page must show what was said before, and of the reply that is being made a
// beginning without a gap and nothing twice.
import assert from 'node:assert/strict'
import { load, open, read, script, text, told, tools, until } from './ui_chat.mjs'

let state = told.seed
const random = () => {
  // mulberry32: the same moments for the same seed, as far as a clock allows.
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

let left = told.reloads
let changes = 0
let failure

async function talk(id) {
  const before = []
  let process = 0
  for (let turn = 0; left > 0; turn++) {
    const words = Array.from({ length: 60 }, (_, number) => (number ? ` ${id}-${turn}-${number}` : `${id}-${turn}`))
    const reply = words.join('')
    const check = (messages) => {
      changes++
      try {
        assert.deepEqual(messages.slice(0, before.length).map((m) => [m.role, text(m)]), before)
        const [said, answer, ...more] = messages.slice(before.length)
        assert.deepEqual(more, [], 'a message is there twice')
        if (said) assert.equal(text(said), `turn ${turn}`)
        if (answer) {
          assert.ok(reply.startsWith(text(answer)), text(answer))
          assert.ok(tools(answer).length <= 1, 'a call is there twice')
        }
      } catch (error) {
        // Thrown here, it would be the client's.
        failure ??= error
      }
    }
    const first = open(id, { url: told.urls[process], messages: await history(id, turn), onChange: check })
    void first.sendMessage(
      { text: `turn ${turn}` },
      script({ call: { tool: 'list_tasks', arguments: {} } }, { say: words, pace_s: told.pace_s }),
    )
    await until(() => first.messages.length === before.length + 2)
    let page = { chat: first }
    while (left > 0 && !failure) {
      await sleep(random() * told.between_ms)
      await page.chat.stop()
      assert.equal(page.chat.error, undefined)
      process = (process + 1 + Math.floor(random() * (told.urls.length - 1))) % told.urls.length
      page = await load(id, { url: told.urls[process], onChange: check })
      check(page.chat.messages)
      if (!page.running) break
      left--
    }
    await page.chat.stop()
    // The last page reads to the end.
    page = await load(id, { url: told.urls[process], onChange: check })
    await page.resuming
    assert.equal(page.chat.error, undefined)
    for (const messages of [page.chat.messages, await read(id, told.urls[0])]) {
      assert.equal(messages.length, before.length + 2)
      assert.equal(text(messages.at(-1)), reply)
      assert.deepEqual(tools(messages.at(-1)).map((part) => part.state), ['output-available'])
      assert.equal(messages.at(-1).metadata.status, 'completed')
    }
    if (failure) throw failure
    before.push(['user', `turn ${turn}`], ['assistant', reply])
  }
}

const history = (id, turn) => (turn ? read(id, told.urls[0]) : [])

await Promise.all(Array.from({ length: told.chats }, (_, number) => talk(`chat${number}`)))
console.log(JSON.stringify({ seed: told.seed, reloads: told.reloads - left, changes }))
