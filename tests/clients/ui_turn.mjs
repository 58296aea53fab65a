// A chat of the AI SDK from its first message on: tools, approvals, reloading, stopping, versions.
import assert from 'node:assert/strict'
import { DefaultChatTransport, readUIMessageStream } from 'ai'
import { api, load, open, read, script, text, told, tools, until } from './ui_chat.mjs'

const last = (chat) => chat.messages.at(-1)
const add = (title) => ({ call: { tool: 'add_task', arguments: { title } } })

// A turn with a tool call.
const chat = open('a chat')
await chat.sendMessage({ text: 'Milk and eggs' }, script(add('Milk'), add('Eggs'), { think: 'Hm.', say: 'Both.' }))
assert.equal(chat.error, undefined)
assert.equal(chat.status, 'ready')
assert.deepEqual(tools(last(chat)).map((part) => [part.type, part.state]), Array(2).fill(['tool-add_task', 'output-available']))
assert.equal(text(last(chat)), 'Both.')
assert.equal(last(chat).parts.find((part) => part.type === 'reasoning').text, 'Hm.')

// What a reload shows is what was streamed, but for what is not kept.
const shape = (messages) =>
  messages.map(({ id, role, parts, metadata }) => [
    id, role, metadata?.status,
    parts.filter((part) => !['step-start', 'reasoning'].includes(part.type)).map(({ type, text, toolCallId, state, output, approval }) =>
      [type, text, toolCallId, toolCallId && state, output, approval?.approved]),
  ])
const shown = (messages) => shape(messages).map(([id, role, status, parts]) => [id, role, role === 'user' || status, parts])
assert.deepEqual(shown(await read('a chat')), shown(chat.messages))

// An approval: some calls are made, others are not.
const deleting = [1, 2].map((task_id) => ({ tool: 'delete_task', arguments: { task_id } }))
await chat.sendMessage({ text: 'Delete both' }, script({ call: deleting }, { say: 'As you say.' }))
assert.equal(chat.status, 'ready')
assert.deepEqual(tools(last(chat)).map((part) => part.state), ['approval-requested', 'approval-requested'])
const waiting = last(chat).id
const { chat: reloaded, running } = await load('a chat')
assert.equal(running, undefined)
for (const [number, part] of tools(last(reloaded)).entries())
  await reloaded.addToolApprovalResponse({ id: part.approval.id, approved: number === 0, reason: number ? 'Keep' : undefined })
await until(() => reloaded.status === 'ready' && text(last(reloaded)))
assert.equal(reloaded.error, undefined)
assert.equal(last(reloaded).id, waiting)
assert.equal(text(last(reloaded)), 'As you say.')
assert.deepEqual(tools(last(reloaded)).map((part) => part.state), ['output-available', 'output-denied'])
assert.deepEqual(shown(await read('a chat')), shown(reloaded.messages))

// Leaving in the middle, and coming back.
const words = (word) => Array.from({ length: 40 }, (_, number) => (number ? ` ${word}${number}` : word))
const leaving = reloaded.sendMessage({ text: 'Talk' }, script({ say: words('word'), pace_s: 0.03 }))
await until(() => text(last(reloaded)).includes('word3 '))
await reloaded.stop()
await leaving
const back = await load('a chat')
assert.ok(back.running)
await back.resuming
assert.equal(text(last(back.chat)), words('word').join(''))
assert.deepEqual(shown(await read('a chat')), shown(back.chat.messages))
assert.equal((await fetch(`${api()}/a%20chat/stream`, { headers: told.headers })).status, 204)

// Stopping.
const stopping = back.chat.sendMessage({ text: 'Talk again' }, script({ say: words('more'), pace_s: 0.03 }))
await until(() => text(last(back.chat)).includes('more3 '))
const stop = await fetch(`${api()}/a%20chat/stop`, { method: 'POST', headers: told.headers })
assert.equal(stop.status, 204)
await stopping
assert.equal(back.chat.status, 'ready')
assert.equal(last(back.chat).metadata.status, 'cancelled')
const stopped = (await read('a chat')).at(-1)
assert.equal(text(stopped), text(last(back.chat)))
assert.ok(words('more').join('').startsWith(text(stopped)))

// Another reply, another wording, and another reply to that.
await back.chat.regenerate(script({ say: 'Otherwise.' }))
assert.equal(text(last(back.chat)), 'Otherwise.')
await back.chat.sendMessage({ text: 'Be brief', messageId: back.chat.messages.at(-2).id }, script({ say: 'Yes.' }))
await back.chat.regenerate(script({ say: 'Yes!' }))
const versions = await read('a chat')
assert.deepEqual(versions.slice(-2).map(text), ['Be brief', 'Yes!'])
assert.equal(versions.length, back.chat.messages.length)

// A failure, told in the stream; and one before it.
await back.chat.sendMessage({ text: 'Fail' }, script({ fail: { kind: 'status', status: 400 } }))
assert.equal(back.chat.status, 'error')
assert.equal(last(back.chat).metadata.status, 'failed')
assert.equal(back.chat.error.message, last(back.chat).metadata.error.error)
await back.chat.sendMessage({ text: ' ' })
assert.equal(JSON.parse(back.chat.error.message).error_code, 'invalid_request')

// Without a chat: the stream read by hand, every chunk checked by the SDK's own schema.
const stream = await new DefaultChatTransport({ api: api(), headers: told.headers }).sendMessages({
  chatId: 'by hand',
  messages: [{ id: '1', role: 'user', parts: [{ type: 'text', text: 'Hello' }] }],
  trigger: 'submit-message',
  ...script({ say: 'Hello.' }),
})
let message
for await (message of readUIMessageStream({ stream }));
assert.equal(text(message), 'Hello.')
console.log('done')
