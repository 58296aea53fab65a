// A chat with taskchat in React. Bundle it with anything, and open it as
// index.html#url=http://127.0.0.1:8000&user=demo&token=…&id=a%20chat
import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import { useChat } from '@ai-sdk/react'
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } from 'ai'

const { url, user, token, id } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
const api = `${url}/api/${encodeURIComponent(user)}/ui/chat`
const headers = { Authorization: `Bearer ${token}` }
const here = `${api}/${encodeURIComponent(id)}`
// What was said before this page was loaded, and the turn that runs, if one does.
const page = await fetch(`${here}/messages`, { headers })
const messages = page.ok ? (await page.json()).data : []
const running = messages.find((m) => ['queued', 'running'].includes(m.metadata.status))?.metadata.turn_id

const transport = new DefaultChatTransport({
  api,
  headers,
  prepareReconnectToStreamRequest: () => ({ api: `${here}/stream?turn_id=${running}` }),
})
const problem = (error) => {
  try { return JSON.parse(error.message).error } catch { return error.message }
}

function Part({ part, answer }) {
  if (part.type === 'text') return <p>{part.text}</p>
  if (!part.toolCallId) return null
  const decide = (approved) => () => answer({ id: part.approval.id, approved })
  return (
    <p className="tool">
      {part.type.slice(5)} {JSON.stringify(part.input)}: {part.state}
      {part.state === 'approval-requested' && (
        <><button onClick={decide(true)}>Approve</button><button onClick={decide(false)}>Refuse</button></>
      )}
    </p>
  )
}

function Chat() {
  const [text, setText] = useState('')
  const chat = useChat({
    id, messages, transport, resume: Boolean(running),
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  })
  const say = (event) => { event.preventDefault(); setText(''); void chat.sendMessage({ text }) }
  return (
    <main data-status={chat.status}>
      {chat.messages.map((m) => (
        <article key={m.id} className={m.role}>
          {m.parts.map((part, n) => <Part key={n} part={part} answer={chat.addToolApprovalResponse} />)}
        </article>
      ))}
      {chat.error && <p role="alert">{problem(chat.error)}</p>}
      <form onSubmit={say}><input value={text} onChange={(event) => setText(event.target.value)} /></form>
      <button onClick={() => fetch(`${here}/stop`, { method: 'POST', headers })}>Stop</button>
    </main>
  )
}
createRoot(document.body).render(<Chat />)
