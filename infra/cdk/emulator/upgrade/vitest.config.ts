import { mergeConfig } from "vitest/config";

import emulator from "../vitest.config.ts";

export default mergeConfig(
  { ...emulator, test: { ...emulator.test, include: [] } },
  { test: { include: ["emulator/upgrade/*.check.ts"], testTimeout: 300_000 } },
);
