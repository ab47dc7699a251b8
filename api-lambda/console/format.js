/** Values as people read them. */

import { h } from "./dom.js";
import { plain } from "./json.js";

const STATUSES = ["queued", "running", "succeeded", "failed", "expired", "canceled"];

/** The states that change. */
export function isUnfinished(task) {
  return task.status === "queued" || task.status === "running";
}

/** A status as a colored mark and a word. */
export function statusOf(task) {
  const known = STATUSES.includes(task.status) ? task.status : "";
  const text = task.status === "running" && task.cancel_requested ? "canceling" : task.status;
  return h("span", { class: `status ${known}` }, plain(text));
}

/** The caller's name of a task. */
export function nameOf(task) {
  return plain(task.name ?? task.id);
}

/** Milliseconds, as in `320 ms`, `1.52 s`, `2 min 5 s` and `1 h 3 min`. */
export function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 0.9995) return `${Math.round(milliseconds)} ms`;
  if (seconds < 59.995) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A size in bytes. */
export function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** US dollars, with as many digits as a cheap image needs. */
export function dollars(amount) {
  return `$${amount < 1 ? amount.toPrecision(2) : amount.toFixed(2)}`;
}

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** A time as `5 min. ago`, with the full time as its title. */
export function ago(text) {
  const seconds = (Date.parse(text) - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  const words =
    unit === "second" && seconds > -10 && seconds < 10
      ? "now"
      : RELATIVE.format(Math.round(seconds / size), unit);
  return h("time", { datetime: text, title: localTime(text) }, words);
}

/** A time in the user's own zone. */
export function localTime(text) {
  return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
