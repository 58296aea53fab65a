// OpenAI's client for JavaScript, as its makers publish it: both interfaces, streams, resuming.
import OpenAI from "openai";

const [url, token] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0 });
const text = (response) => response.output_text;

const first = await client.responses.create({ model: "taskchat", input: "Add task: Tea" });
const told = [];
const request = { model: "taskchat", input: "Add task: Milk", previous_response_id: first.id };
for await (const event of await client.responses.create({ ...request, stream: true })) {
  told.push(event);
}
const { id } = told[0].response;
const resumed = [];
for (let place = 0; place < told.length; place += 1) {
  const rest = await client.responses.retrieve(id, { stream: true, starting_after: place });
  const events = [];
  for await (const event of rest) events.push(event);
  resumed.push(JSON.stringify(events) === JSON.stringify(told.slice(place + 1)));
}
const helped = client.responses.stream({
  model: "taskchat",
  input: "What is on my list?",
  previous_response_id: id,
});
const listed = await helped.finalResponse();

const messages = [{ role: "user", content: "What is on my list?" }];
const metadata = { conversation_id: first.conversation.id };
const completion = await client.chat.completions.create({ model: "taskchat", messages, metadata });
const stream = client.chat.completions.stream({ model: "taskchat", messages, metadata });
const refused = await client.responses
  .create({ input: "Hello", tools: [{ type: "web_search" }] })
  .catch((error) => error);

console.log(
  JSON.stringify({
    said: text(first),
    items: first.output.map((item) => item.type),
    resumed: resumed.every(Boolean) && resumed.length === told.length,
    listed: text(listed),
    completed: completion.choices[0].message.content,
    streamed: await stream.finalContent(),
    refused: [refused.status, refused.code, refused.param, refused.type],
  }),
);
