import { defineConfig } from "vitest/config";

// One story, told in order: it stops at its first fault.
export default defineConfig({
  test: {
    include: ["emulator/**/*.check.ts"],
    testTimeout: 120_000,
    hookTimeout: 600_000,
    bail: 1,
    sequence: { concurrent: false },
  },
});
