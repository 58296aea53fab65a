// What the signed-in user talks by: the HTTP API and the line to the conversation that is shown.

import { toast } from "./store.js";

export const here = { api: null, line: null };

/** Do something that may be refused; then say why. Gives what it gives, or undefined. */
export async function attempt(work) {
  try {
    return await work();
  } catch (problem) {
    // Signed out meanwhile: whatever it was, it is not wanted any more.
    if (here.api) toast(problem.message, { kind: "problem" });
    return undefined;
  }
}

/** Do something soon, once, however often it is asked for meanwhile. */
export function soon(work, ms) {
  let timer = null;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      work();
    }, ms);
  };
}
