/** Repeated calls that pause while the tab is hidden. */

/** The longest pause after failures, in seconds. */
const LONGEST = 60;

/**
 * Calls `step` until the signal is aborted, but not in a hidden tab. After a failure the pauses grow.
 * @param {(signal: AbortSignal) => Promise<number | null>} step returns the seconds until the next call, null to stop
 * @param {AbortSignal} signal
 * @param {(problem: Error | null) => void} report gets each failure, and null after each success
 */
export async function poll(step, signal, report) {
  let failures = 0;
  while (!signal.aborted) {
    await visible(signal);
    let seconds;
    try {
      seconds = await step(signal);
      failures = 0;
      report(null);
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      seconds = Math.max(error.retryAfter ?? 0, Math.min(2 ** failures, LONGEST));
      report(error);
    }
    if (seconds === null) return;
    await pause(seconds * 1000, signal);
  }
}

/** Resolves once the tab is visible. */
function visible(signal) {
  if (document.visibilityState === "visible") return null;
  return new Promise((resolve) => {
    const check = () => document.visibilityState === "visible" && resolve(null);
    document.addEventListener("visibilitychange", check, { signal });
    signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve(null)), { once: true });
  });
}
