import { defineConfig } from "vitest/config";

// The checks depend on each other and run in order; the first failure stops them.
export default defineConfig({
  test: {
    include: ["emulator/*.check.ts"],
    globalSetup: "test/support/scratch.ts",
    testTimeout: 120_000,
    hookTimeout: 600_000,
    bail: 1,
    sequence: { concurrent: false },
  },
});
