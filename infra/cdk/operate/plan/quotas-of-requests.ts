// Quotas of what each request passes: the front door, the topics and the queue.

import type { Config, Runtime } from "../../lib/config/types.ts";
import { plain } from "../costs/line.ts";
import { FUNCTION_SECONDS } from "../costs/per-million.ts";
import type { Fleet } from "./fleet.ts";
import { gatewayQuota, keyQuota, publishQuota, QUOTAS } from "./quota-values.ts";
import type { Use } from "./quotas.ts";
import { HELD, type Workload } from "./workload.ts";

/** SNS keeps a data key for five minutes, for each topic and principal: one to encrypt, one to decrypt (SNS key management). */
const DATA_KEY_SECONDS = 300;

/** Limits of the configuration itself. */
export function ownLimits({ api }: Config, { perHour, burst }: Workload, { demand: { rate } }: Fleet): Use[] {
  const keys = api.keys.length;
  const own = (what: string, demand: number, arithmetic: string, value: number, field: string): Use => ({
    what: `this deployment: ${what}`,
    arithmetic,
    demand,
    quota: { value, adjustable: true, source: `\`${field}\`` },
    remedy: `raise \`${field}\``,
  });
  return [
    own("requests per second", rate, perSecond(rate), api.ratePerSecond * keys, "api.ratePerSecond"),
    own("requests at once", burst, `${plain(burst)} at once`, api.burst * keys, "api.burst"),
    ...(api.requestsPerDay > 0
      ? [
          own(
            "requests per day",
            perHour * 24,
            `${plain(perHour)} × 24 h`,
            api.requestsPerDay * keys,
            "api.requestsPerDay",
          ),
        ]
      : []),
    ...(api.concurrency > 0
      ? [
          own(
            "concurrent requests",
            rate * FUNCTION_SECONDS,
            concurrent(rate),
            api.concurrency,
            "api.concurrency",
          ),
        ]
      : []),
  ];
}

export function frontDoor({ region }: Config, { burst }: Workload, { demand: { rate } }: Fleet): Use[] {
  const gateway = gatewayQuota(region);
  return [
    {
      what: "API Gateway: requests per second",
      arithmetic: perSecond(rate),
      demand: rate,
      quota: gateway.rate,
      remedy: raise,
    },
    {
      what: "API Gateway: requests at once",
      arithmetic: `${plain(burst)} at once`,
      demand: burst,
      quota: gateway.burst,
      remedy: "clients spread their requests, and retry after 429",
    },
    {
      what: "Lambda: concurrent executions",
      arithmetic: concurrent(rate),
      demand: rate * FUNCTION_SECONDS,
      quota: QUOTAS.lambdaConcurrency,
      remedy: raise,
    },
  ];
}

export function messages(config: Config, runtime: Runtime, { demand, settled }: Fleet): Use[] {
  const { rate } = demand;
  const publishes = runtime.notifyRunning ? 3 : 2;
  const held = HELD * runtime.concurrency;
  const topics = 2;
  const keyCalls = (topics * 2 * (1 + settled)) / DATA_KEY_SECONDS;
  return [
    {
      what: "SNS: messages published per second",
      arithmetic: `${plain(rate)} × ${publishes} (task, ${publishes > 2 ? "start, " : ""}end)`,
      demand: rate * publishes,
      quota: publishQuota(config.region),
      remedy: `${raise}, or deploy in a region with a higher quota`,
    },
    ...(config.subscriptions.emails.length > 0
      ? [
          {
            what: "SNS: emails per second to a subscriber",
            arithmetic: perSecond(rate),
            demand: rate,
            quota: QUOTAS.snsEmail,
            remedy: "SNS disables such a subscription: remove `subscriptions.emails`, use a queue",
          },
        ]
      : []),
    {
      what: "SNS: filter policies per topic",
      arithmetic: `${config.runtimes.length} ${config.runtimes.length === 1 ? "runtime" : "runtimes"}`,
      demand: config.runtimes.length,
      quota: QUOTAS.snsFilters,
      remedy: "a second deployment",
    },
    {
      what: "SQS: messages in flight per queue",
      arithmetic: `${plain(settled)} pods × ${held}`,
      demand: settled * held,
      quota: QUOTAS.sqsInFlight,
      remedy: "split the runtime into several",
    },
    {
      what: "KMS: symmetric operations per second",
      arithmetic: `${topics} topics × 2 × ${plain(1 + settled)} principals ÷ ${DATA_KEY_SECONDS} s`,
      demand: keyCalls,
      quota: keyQuota(config.region),
      remedy: raise,
    },
  ];
}

const raise = "request an increase";
const perSecond = (rate: number) => `${plain(rate)} per second`;
const concurrent = (rate: number) => `${plain(rate)} per second × ${FUNCTION_SECONDS} s`;
