import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/scratch.ts", "test/support/config-program.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Files share a process, so that the CDK library is loaded once per worker and not once per file: half of the time.
    isolate: false,
  },
});
