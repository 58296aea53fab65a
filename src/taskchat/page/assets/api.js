// The HTTP API of the service, as the signed-in user. A refusal is a Problem, whose text says what to do.

export class Problem extends Error {
  constructor({ code, text, status = 0, requestId = null, details = [] }) {
    super(text);
    Object.assign(this, { code, status, requestId, details });
  }
}

const UNREACHABLE = "The service can't be reached. Check the network, and try again.";

/** The problem that an answer tells of. */
async function problemOf(answer) {
  const told = await answer.json().catch(() => ({}));
  const details = told.details ?? [];
  const text = details.length && told.error_code === "invalid_request"
    ? details.map(({ field, problem }) => `${field}: ${problem}`).join("; ")
    : told.error ?? `The service answered ${answer.status}. Try again in a moment.`;
  return new Problem({
    code: told.error_code ?? "unknown", text, status: answer.status, requestId: told.request_id, details,
  });
}

/** Ask any address of the service; gives the answer if it is a success. */
export async function ask(path, { method = "GET", body, token, headers = {}, signal } = {}) {
  const given = { Accept: "application/json", ...headers };
  if (token) given.Authorization = `Bearer ${token}`;
  if (body !== undefined) given["Content-Type"] = "application/json";
  const content = body === undefined ? undefined : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(path, {
      method, headers: given, body: content, signal, credentials: "omit", cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ code: "unreachable", text: UNREACHABLE });
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/** The API of one session's user; paths begin behind `/api/{user_id}`. */
export function apiOf(session) {
  async function send(path, given = {}) {
    const address = `/api/${encodeURIComponent(session.userId)}${path}`;
    try {
      return await ask(address, { ...given, token: session.token });
    } catch (error) {
      if (error.code !== "invalid_auth" || !(await session.renewed())) throw error;
      return ask(address, { ...given, token: session.token });
    }
  }
  const json = async (path, given) => {
    const answer = await send(path, given);
    return answer.status === 204 ? null : answer.json();
  };
  return {
    send,
    get: (path, query = {}, given = {}) => json(withQuery(path, query), given),
    post: (path, body, headers) => json(path, { method: "POST", body, headers }),
    put: (path, body) => json(path, { method: "PUT", body }),
    patch: (path, body) => json(path, { method: "PATCH", body }),
    delete: (path) => json(path, { method: "DELETE" }),
  };
}

function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}
