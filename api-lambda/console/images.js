/** Images of tasks. Their presigned URLs expire, so they are fetched when they are shown, and again when they have expired. */

import { call, taskPath } from "./api.js";
import { fill, h, webUrl } from "./dom.js";
import { bytes } from "./format.js";

/** URLs that expire within this time are fetched again, in milliseconds. */
const MARGIN = 60_000;
/** How many tasks are fetched at once. */
const AT_ONCE = 4;

/** Tasks with signed URLs, by id. */
const tasks = new Map();
const waiting = [];
let fetching = 0;

/** Remembers the URLs of a task. */
export function keepTask(task) {
  tasks.set(task.id, task);
}

/** A task with URLs that work for a while. */
async function signedTask(id, isExpired) {
  const known = tasks.get(id);
  if (!isExpired && known && known.outputs.every(isFresh)) return known;
  if (fetching >= AT_ONCE) await new Promise((resolve) => waiting.push(resolve));
  fetching += 1;
  try {
    const task = await call("GET", taskPath(id));
    tasks.set(id, task);
    return task;
  } finally {
    fetching -= 1;
    waiting.shift()?.();
  }
}

function isFresh({ url, url_expires_at }) {
  return url && Date.parse(url_expires_at) - Date.now() > MARGIN;
}

/**
 * The n-th file of a task, loaded once it is near the visible part of the page.
 * @param {string} id
 * @param {number} index
 * @param {{ link?: boolean }} [options] whether a click opens the file
 */
export function outputImage(id, index, { link = true } = {}) {
  const frame = h("div", { class: "frame loading" });
  const load = async (isExpired) => {
    try {
      const output = (await signedTask(id, isExpired)).outputs[index];
      show(frame, output, link, () => isExpired || load(true));
    } catch (error) {
      fill(frame, h("p", { class: "muted" }, error.message));
    }
  };
  near(frame, () => load(false));
  return frame;
}

function show(frame, output, link, failed) {
  const url = webUrl(output?.url);
  const type = output?.content_type ?? "";
  const size = output?.width && { width: output.width, height: output.height };
  let shown;
  if (url && type.startsWith("image/")) shown = h("img", { src: url, alt: "", decoding: "async", ...size });
  else if (url && type.startsWith("video/"))
    shown = h("video", { src: url, controls: link, muted: true, loop: true });
  shown?.addEventListener("error", failed, { once: true });
  shown?.addEventListener("load", () => frame.classList.remove("loading"), { once: true });
  if (!shown) frame.classList.remove("loading");
  const text = shown ?? h("span", {}, type || "file", " ", output ? bytes(output.bytes) : "");
  const label = `Open the file: ${type}`;
  fill(
    frame,
    link && url && !type.startsWith("video/")
      ? h("a", { href: url, target: "_blank", rel: "noreferrer", "aria-label": label }, text)
      : text,
  );
}

const observer = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      starts.get(target)?.();
    }
  },
  { rootMargin: "300px" },
);
const starts = new WeakMap();

function near(element, start) {
  starts.set(element, start);
  observer.observe(element);
}
