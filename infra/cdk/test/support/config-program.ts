import { program } from "../../lib/config/program.ts";

/** Builds the program that checks configurations once for all test files, also for commands without an environment. */
export default function setup(): void {
  process.env["DARKROOM_CONFIG_PROGRAM"] = program();
}
