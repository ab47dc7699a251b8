/** The life of a task: what happened when, and how long its stages took. */

import { h } from "./dom.js";
import { duration, localTime } from "./format.js";
import { plain } from "./json.js";

/** The stages of the last attempt (docs/results-and-notifications.md), in their order. */
const STAGES = [
  ["queue_ms", "waiting", "until a worker received it"],
  ["prepare_ms", "preparing", "fetching inputs"],
  ["run_ms", "running", "in the runtime"],
  ["store_ms", "storing", "uploading the files"],
];

/** @returns {any[]} children of the section */
export function timeline(task) {
  return [h("h2", {}, "Timeline"), task.timings && stages(task.timings), events(task)];
}

/** A bar whose parts are as long as the stages, and its legend. */
function stages(timings) {
  const known = STAGES.map(([name, label, about]) => ({
    name,
    label,
    about,
    ms: Number(timings[name]) || 0,
  }));
  const total = known.reduce((sum, { ms }) => sum + ms, 0) || 1;
  const bar = h("div", { class: "bar-of-stages", "aria-hidden": "true" });
  for (const { name, ms } of known) {
    const segment = h("span", { class: name });
    segment.style.flexGrow = String(ms / total);
    bar.append(segment);
  }
  const rows = known.map(({ name, label, about, ms }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("i", { class: name }), label),
      h("td", {}, duration(ms)),
      h("td", { class: "muted" }, about),
    ),
  );
  return [
    bar,
    h(
      "table",
      { class: "stages" },
      h("caption", { class: "unseen" }, "Stages of the last attempt"),
      h("tbody", {}, rows),
    ),
  ];
}

function events(task) {
  const start = Date.parse(task.created_at);
  const failed = task.failed_attempts ?? [];
  const isFirst = task.attempts <= 1 && failed.length === 0;
  const happened = [
    [task.created_at, task.retry_of ? "submitted again" : "submitted"],
    ...failed.map(({ at, attempt, code }) => [at, `attempt ${attempt} failed: ${plain(code)}`]),
    [task.started_at, isFirst ? "started" : `attempt ${task.attempts} started`],
    [task.finished_at, task.status],
  ].filter(([time]) => time);
  // Times of one format sort like texts. Equal ones keep their order.
  happened.sort(([left], [right]) => (left < right ? -1 : Number(left > right)));
  return h(
    "ol",
    { class: "events" },
    happened.map(([time, text]) =>
      h(
        "li",
        {},
        h("time", { datetime: time, title: localTime(time) }, offset(Date.parse(time) - start)),
        " ",
        text,
      ),
    ),
    task.status === "queued" &&
      h("li", { class: "muted" }, isFirst ? "waiting for a worker" : "waiting for the next attempt"),
  );
}

function offset(milliseconds) {
  return milliseconds <= 0 ? "0" : `+${duration(milliseconds)}`;
}
