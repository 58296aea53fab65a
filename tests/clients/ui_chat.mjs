// What the programs of the AI SDK share: a chat as a page has it after it was loaded.
import assert from 'node:assert/strict'
import { Chat } from '@ai-sdk/react'
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } from 'ai'

export const told = JSON.parse(process.argv[2])

export const api = (url = told.url) => `${url}/api/${told.user}/ui/chat`

export const script = (...answers) => ({ headers: { 'X-Taskchat-Script': JSON.stringify(answers) } })

export async function read(id, url) {
  const page = await fetch(`${api(url)}/${encodeURIComponent(id)}/messages`, { headers: told.headers })
  assert.equal(page.status, 200)
  const { data, has_more } = await page.json()
  assert.equal(has_more, false)
  return data
}

export function open(id, { url, messages = [], running, onChange } = {}) {
  const chat = new Chat({
    id,
    messages,
    transport: new DefaultChatTransport({
      api: api(url),
      headers: told.headers,
      prepareReconnectToStreamRequest: ({ api, id }) => ({ api: `${api}/${encodeURIComponent(id)}/stream?turn_id=${running}` }),
    }),
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  })
  if (onChange) chat['~registerMessagesCallback'](() => onChange(chat.messages))
  return chat
}

/** What a page does when it is loaded. */
export async function load(id, { url, onChange } = {}) {
  const messages = await read(id, url)
  const running = messages.find((m) => ['queued', 'running'].includes(m.metadata.status))?.metadata.turn_id
  const chat = open(id, { url, messages, running, onChange })
  return { chat, running, resuming: running && chat.resumeStream() }
}

export const text = (message) =>
  message.parts.filter((part) => part.type === 'text').map((part) => part.text).join('')

export const tools = (message) => message.parts.filter((part) => part.toolCallId)

export async function until(holds) {
  for (const end = Date.now() + 60_000; !holds(); ) {
    assert.ok(Date.now() < end, holds.toString())
    await new Promise((done) => setTimeout(done, 5))
  }
}
