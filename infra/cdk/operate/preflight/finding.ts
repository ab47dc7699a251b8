import type { Config } from "../../lib/config/types.ts";

/**
 * `missing` keeps a deployment from working, `warning` makes it worse than it could be, `note` is for
 * afterwards.
 */
export type Verdict = "ok" | "missing" | "warning" | "note";

export interface Finding {
  verdict: Verdict;
  /** What was found, and what to do about it. */
  detail: string;
}

export type Check = (config: Config) => Promise<Finding[]>;

const finding =
  (verdict: Verdict) =>
  (detail: string): Finding => ({ verdict, detail });

export const ok = finding("ok");
export const missing = finding("missing");
export const warning = finding("warning");
export const note = finding("note");
