import { defineConfig, type ViteUserConfig } from "vitest/config";

const source = (path: string): string => new URL(`./src/${path}`, import.meta.url).pathname;

const config: ViteUserConfig = defineConfig({
  resolve: {
    alias: [
      { find: /^coatcheck$/, replacement: source("index.ts") },
      { find: /^coatcheck\/define$/, replacement: source("define.ts") },
      { find: /^coatcheck\/csrf$/, replacement: source("csrf/csrf.ts") },
      { find: /^coatcheck\/server$/, replacement: source("server/session-server.ts") },
      { find: /^coatcheck\/testing$/, replacement: source("testing/index.ts") },
      { find: /^coatcheck\/((?:compat|store)\/.+)$/, replacement: source("$1.ts") },
      {
        find: /^coatcheck\/(express|express-session|fastify|fetch|forward-auth|hono|koa|node)$/,
        replacement: source("adapter/$1.ts"),
      },
    ],
  },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["test/require-node-24.ts"],
    reporters: ["default", "./test/closing-line-reporter.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});

export default config;
