// Reads a stream with the protocol's own client, as it says: url, token, live, how many to break off after.
import { stream } from "@durable-streams/client";

const [url, token, live, least] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const mode = live === "false" ? false : live;

async function read(offset, enough) {
  const response = await stream({ url, headers, offset, live: mode, warnOnHttp: false });
  const items = [];
  let at = offset;
  let closed = false;
  await new Promise((done, failed) => {
    response.subscribeJson((batch) => {
      items.push(...batch.items);
      at = batch.offset;
      closed = batch.streamClosed;
      if (closed || items.length >= enough || (mode === false && batch.upToDate)) {
        response.cancel();
        done();
      }
    });
    // Not when it ends: that may be told before the last batch is.
    response.closed.catch(failed);
  });
  return { items, at, closed };
}

const first = await read("-1", Number(least ?? Infinity));
const rest = first.closed ? { ...first, items: [] } : await read(first.at, Infinity);
console.log(
  JSON.stringify({
    first: first.items.length,
    events: [...first.items, ...rest.items],
    closed: rest.closed,
  }),
);
