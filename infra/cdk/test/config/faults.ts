import { ConfigError, parse } from "../../lib/config/load.ts";

/** What is wrong with a file; nothing if it may be deployed. */
export function faultsOf(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}
