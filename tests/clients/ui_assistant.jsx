// assistant-ui on the same chat: its own runtime, threads and composer, with nothing of ours between.
import { createRoot } from 'react-dom/client'
import { useChat } from '@ai-sdk/react'
import { AssistantRuntimeProvider, ComposerPrimitive, MessagePrimitive, ThreadPrimitive } from '@assistant-ui/react'
import { useAISDKRuntime } from '@assistant-ui/react-ai-sdk'
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } from 'ai'

const { url, user, token, id } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
const api = `${url}/api/${user}/ui/chat`
const headers = { Authorization: `Bearer ${token}` }
const page = await fetch(`${api}/${encodeURIComponent(id)}/messages`, { headers })
const messages = page.ok ? (await page.json()).data : []
const running = messages.some((m) => ['queued', 'running'].includes(m.metadata.status))

const Text = ({ text }) => <p>{text}</p>
const Tool = ({ toolName, status, result, approval, respondToApproval }) => (
  <p className="tool">
    {toolName}: {result === undefined ? status.type : 'done'}
    {approval && approval.approved === undefined && (
      <button onClick={() => respondToApproval({ approved: true })}>Approve</button>
    )}
  </p>
)
const parts = { Text, tools: { Fallback: Tool } }
const User = () => <article className="user"><MessagePrimitive.Parts components={parts} /></article>
const Assistant = () => <article className="assistant"><MessagePrimitive.Parts components={parts} /></article>

function Chat() {
  const chat = useChat({
    id,
    messages,
    resume: running,
    transport: new DefaultChatTransport({ api, headers }),
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  })
  const runtime = useAISDKRuntime(chat)
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <main data-status={chat.status}>
        <ThreadPrimitive.Root>
          <ThreadPrimitive.Messages components={{ UserMessage: User, AssistantMessage: Assistant }} />
          {chat.error && <p role="alert">{chat.error.message}</p>}
          <ComposerPrimitive.Root><ComposerPrimitive.Input /></ComposerPrimitive.Root>
        </ThreadPrimitive.Root>
      </main>
    </AssistantRuntimeProvider>
  )
}

createRoot(document.body).render(<Chat />)
