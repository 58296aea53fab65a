// How things are called and told to people: tools, times, sizes.

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", month: "short", day: "numeric" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const wholeTime = (at) => whole.format(new Date(at));

/** The time of a message: of today by the clock alone. */
export function messageTime(at) {
  const then = new Date(at);
  const isToday = then.toDateString() === new Date().toDateString();
  return isToday ? clock.format(then) : `${day.format(then)}, ${clock.format(then)}`;
}

/** How long ago something was, in the largest unit that fits. */
export function ago(at) {
  const seconds = (Date.parse(at) - Date.now()) / 1000;
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return "now";
}

export const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** A tool's name as words: add_task is “Add task”. */
export function toolWords(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

/** What a call is about: what it names, or the number that it gives. */
export function subjectOf({ arguments: given = {}, result, subject }) {
  if (subject) return subject;
  const title = given?.title ?? result?.title;
  if (title) return title;
  return given?.task_id === undefined ? "" : `#${given.task_id}`;
}

/** A value as lines to be read. */
export const asJson = (value) => JSON.stringify(value, null, 2);

export const countOf = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** The command that says or reads the same, with the token in it, so that it works when pasted. */
export function curlOf({ method = "GET", path, body = null, token }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl -s${method === "GET" || (method === "POST" && body) ? "" : ` -X ${method}`} ${quoted(location.origin + path)}`];
  lines.push(`-H ${quoted(`Authorization: Bearer ${token}`)}`);
  if (body) lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return lines.join(" \\\n  ");
}
