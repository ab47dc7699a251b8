/** The frame of the console: which view is open, the API key, and failures. */

import { KEY_WANTED } from "./api.js";
import { fill, h } from "./dom.js";
import { gallery } from "./gallery.js";
import { forgetKey, keyForm, storedKey } from "./key.js";
import { newTask } from "./new-task.js";
import { runtimesView } from "./runtimes.js";
import { taskList } from "./task-list.js";
import { taskView } from "./task.js";

/**
 * What a view gets.
 * @typedef {object} Context
 * @property {AbortSignal} signal aborted when the view is left
 * @property {(problem: Error | null) => void} report shows a failure above the view, or none
 */

/** Views by the fragment of the address. */
const ROUTES = [
  [/^#\/new$/, "New task", newTask],
  [/^#\/tasks$/, "Tasks", taskList],
  [/^#\/tasks\/(?<id>[^/]+)$/, "Task", taskView],
  [/^#\/gallery$/, "Gallery", gallery],
  [/^#\/runtimes$/, "Runtimes", runtimesView],
];

const main = document.getElementById("main");
const notice = document.getElementById("notice");
const keyButton = document.getElementById("key");

let view = new AbortController();

/** Leaves the open view and opens that of the address. */
async function open() {
  view.abort();
  view = new AbortController();
  const { signal } = view;
  const route = ROUTES.find(([pattern]) => pattern.test(location.hash));
  if (!route) return location.replace("#/new");
  const [pattern, title, build] = route;
  const { id } = location.hash.match(pattern).groups ?? {};
  document.title = `${title} · Darkroom`;
  for (const link of document.querySelectorAll("nav a")) {
    const isCurrent = location.hash.startsWith(link.getAttribute("href"));
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  keyButton.hidden = storedKey() === null;
  report(null);
  const reportHere = (problem) => signal.aborted || report(problem);
  try {
    const children = await build({ signal, report: reportHere, id: id && decodeURIComponent(id) });
    if (!signal.aborted) show(children);
  } catch (error) {
    if (!signal.aborted) {
      report(error);
      show([h("button", { type: "button", onclick: open }, "Try again")]);
    }
  }
}

function show(children) {
  fill(main, children);
  window.scrollTo(0, 0);
  (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

/** @param {Error | null} problem */
function report(problem) {
  const text = problem?.message ?? "";
  if (notice.textContent !== text) notice.textContent = text;
  notice.hidden = text === "";
}

function askForKey() {
  view.abort();
  view = new AbortController();
  report(null);
  keyButton.hidden = true;
  document.title = "API key · Darkroom";
  // The forms that were filled in are for another key's runtimes.
  show([keyForm(() => location.reload())]);
  document.getElementById("api-key").focus();
}

document.addEventListener(KEY_WANTED, askForKey);
keyButton.addEventListener("click", () => (forgetKey(), askForKey()));
document.getElementById("skip").addEventListener("click", (event) => (event.preventDefault(), main.focus()));
// A file that is dropped beside a field must not replace the page.
for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
window.addEventListener("hashchange", open);
open();
