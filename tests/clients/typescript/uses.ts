// What a front end does with the types, and what the compiler has to refuse.

import createClient from 'openapi-fetch'
import type {
  ChatAnswer,
  ClientFrame,
  Event,
  ServerFrame,
  TaskOut,
  paths,
} from './clients/typescript/taskchat'

const client = createClient<paths>({ baseUrl: 'http://127.0.0.1' })
const path = { user_id: 'demo' }

export const text = (event: Event): string | null => (event.type === 'stream_chunk' ? event.delta : null)
export const title = (task: TaskOut): string => task.title
export const tools = (answer: ChatAnswer): string[] => answer.tool_calls.map((call) => call.tool_name)
export const ping: ClientFrame = { type: 'ping' }
export const retry = (frame: ServerFrame) => (frame.type === 'rate_limit_exceeded' ? frame.retry_after : 0)
export const add = () => client.POST('/api/{user_id}/tasks', { params: { path }, body: { title: 'Milk' } })
export const status = (answer: ChatAnswer): 'success' => answer.status

// @ts-expect-error only that event has a text
export const wrongEvent = (event: Event) => event.delta
// @ts-expect-error there is no such event
export const wrongType = (event: Event) => event.type === 'stream_chink'
// @ts-expect-error there is no such frame
export const wrongFrame: ClientFrame = { type: 'pong' }
// @ts-expect-error a task has a title
export const wrongBody = () => client.POST('/api/{user_id}/tasks', { params: { path }, body: {} })
// @ts-expect-error there is no such route
export const wrongRoute = () => client.GET('/api/{user_id}/task', { params: { path } })
