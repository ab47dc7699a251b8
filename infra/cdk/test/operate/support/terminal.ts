import { afterEach, beforeEach, vi } from "vitest";

/** What commands printed in a test. */
export function withTerminal(): { text: string } {
  const printed = { text: "" };
  beforeEach(() => {
    printed.text = "";
    vi.spyOn(console, "log").mockImplementation(
      (line: unknown = "") => void (printed.text += `${String(line)}\n`),
    );
  });
  afterEach(() => void vi.restoreAllMocks());
  return printed;
}
