/** `#/new`: the form that submits a task. */

import { call, Problem } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { inputOf, jsonInput, labeled } from "./fields.js";
import { fieldsOf } from "./schema.js";
import { workflowInputs } from "./workflow.js";

/** The kinds of inputs that need space. */
const WIDE = ["long", "image", "workflow"];

/** The form, kept while other views are open. */
let form;

/** @param {{ signal: AbortSignal }} context */
export async function newTask({ signal }) {
  if (!form) {
    const { runtimes } = await call("GET", "v1/runtimes", { signal });
    form = runtimes.length > 0 ? formFor(runtimes) : h("p", { class: "empty" }, "No runtimes are deployed.");
  }
  return [h("h1", { tabindex: "-1" }, "New task"), form];
}

function formFor(runtimes) {
  const runtime = select(
    "runtime",
    runtimes.map((runtime) => runtime.name),
  );
  const type = select("type", []);
  const wide = h("div", { class: "fields" });
  const small = h("div", { class: "fields" });
  const more = h("div", {});
  const settings = settingsInputs();
  const fault = h("div", { class: "faults", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, "Submit");
  /** @type {import("./fields.js").Input[]} */
  let inputs = [];

  const types = () => runtimes.find(({ name }) => name === runtime.value).task_types;
  const showType = () => {
    inputs = contentInputs(types().find((known) => known.type === type.value).content_schema);
    const elements = (isHere) => inputs.filter(({ kind }) => isHere(kind)).map(({ element }) => element);
    fill(
      wide,
      elements((kind) => WIDE.includes(kind)),
    );
    fill(
      small,
      elements((kind) => kind !== "json" && !WIDE.includes(kind)),
    );
    fill(
      more,
      elements((kind) => kind === "json").map((element) => folded("More fields as JSON", element)),
    );
  };
  const showRuntime = () => {
    fill(
      type,
      types().map((known) => h("option", {}, known.type)),
    );
    showType();
  };
  runtime.addEventListener("change", showRuntime);
  type.addEventListener("change", showType);

  let attempt = { body: "", key: "" };
  const submit = async () => {
    const body = { runtime: runtime.value, type: type.value, ...(await bodyOf(inputs, settings)) };
    // The same task has the same key, so a request that is repeated after a lost response makes no second task.
    const text = JSON.stringify(body);
    if (text !== attempt.body) attempt = { body: text, key: crypto.randomUUID() };
    const task = await call("POST", "v1/tasks", { body, headers: { "idempotency-key": attempt.key } });
    attempt = { body: "", key: "" };
    announce("The task is submitted.");
    location.hash = `#/tasks/${encodeURIComponent(task.id)}`;
  };
  const submitted = (event) => {
    event.preventDefault();
    guarded(submit, button, fault, [...inputs, ...settings]);
  };
  /** A workflow that is dropped anywhere selects a runtime that runs it. */
  const dropped = async (event) => {
    const file = [...event.dataTransfer.files].find(({ name }) => name.endsWith(".json"));
    const place = runtimes.find(({ task_types: known }) => known.some(({ type }) => type === "pipeline"));
    if (event.defaultPrevented || !file || !place) return;
    event.preventDefault();
    runtime.value = place.name;
    showRuntime();
    type.value = "pipeline";
    showType();
    await inputs[0].read([file]);
  };
  const element = h(
    "form",
    { class: "task-form", novalidate: true, onsubmit: submitted, ondrop: dropped },
    h("div", { class: "fields kinds" }, labeledSelect("runtime", runtime), labeledSelect("type", type)),
    wide,
    small,
    more,
    folded(
      "Name, labels, files",
      h(
        "div",
        { class: "fields" },
        settings.map((input) => input.element),
      ),
    ),
    fault,
    h("div", { class: "actions" }, button, h("span", { class: "muted hint" }, "or Ctrl + Enter")),
  );
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element.requestSubmit();
  });
  showRuntime();
  return element;
}

function folded(summary, content) {
  return h("details", {}, h("summary", {}, summary), content);
}

/** Runs a submission, once at a time, and shows what is wrong beside the fields. */
async function guarded(submit, button, fault, inputs) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  fill(fault);
  inputs.forEach((input) => input.mark(""));
  try {
    await submit();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showProblem(error, fault, inputs);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function showProblem(problem, fault, inputs) {
  const others = [];
  for (const { pointer, message } of problem.violations) {
    const input = inputs
      .filter((known) => `${pointer}/`.startsWith(`${known.pointer}/`))
      .sort((left, right) => right.pointer.length - left.pointer.length)[0];
    if (input) input.mark(`${pointer}: ${message}`);
    else others.push(h("li", {}, h("code", {}, pointer), " ", message));
  }
  fill(fault, h("p", { class: "error" }, problem.message), others.length > 0 && h("ul", {}, others));
  const first = document.querySelector("form [aria-invalid]");
  if (first) first.focus();
}

/** The inputs of `content`. A schema without properties is that of a workflow. */
function contentInputs(schema) {
  const { all, shown } = fieldsOf(schema);
  if (all.length === 0) return workflowInputs();
  const names = all.filter((field) => !shown.includes(field)).map((field) => field.name);
  const more = jsonInput({
    pointer: "/content",
    id: "more",
    label: "more fields",
    help: `A JSON object. Fields: ${names.join(", ")}.`,
  });
  return [...shown.map(inputOf), more];
}

function settingsInputs() {
  const text = (pointer, label, help) => {
    const control = h("input", {
      id: `setting-${label}`,
      type: "text",
      spellcheck: "false",
      autocomplete: "off",
    });
    return labeled({
      pointer,
      label,
      help,
      kind: "text",
      control,
      value: () => control.value.trim() || undefined,
    });
  };
  return [
    text("/name", "name", "Part of the names of the files. The first words of the prompt if empty."),
    text("/prefix", "prefix", "The beginning of the keys of the files in the bucket."),
    text("/labels", "labels", "To find the task by, as in team=red, set=7."),
  ];
}

/** The body of the request, without runtime and type. */
async function bodyOf(inputs, settings) {
  let content = {};
  for (const input of inputs) {
    const value = await valueOf(input);
    if (value === undefined) continue;
    if (input.pointer === "/content") content = { ...value, ...content };
    else content[input.pointer.slice("/content/".length)] = value;
  }
  const [name, prefix, labels] = await Promise.all(settings.map(valueOf));
  return { content, name: name ?? wordsOf(content.prompt), prefix, labels: labels && labelsOf(labels) };
}

async function valueOf(input) {
  try {
    return await input.value();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Problem("The JSON is not valid.", {
      violations: [{ pointer: input.pointer, message: error.message }],
    });
  }
}

/** `team=red, set=7` as an object. */
function labelsOf(text) {
  const pairs = text.split(",").map((pair) => pair.split("="));
  return Object.fromEntries(pairs.map(([name, ...value]) => [name.trim(), value.join("=").trim()]));
}

/** The first words of a prompt as a name. Undefined if there are none in Latin letters: then the name is the id. */
function wordsOf(prompt) {
  const words = typeof prompt === "string" ? prompt.toLowerCase().match(/[a-z0-9]+/g) : null;
  return words?.slice(0, 6).join("-").slice(0, 60);
}

function select(name, options) {
  return h(
    "select",
    { id: name, name },
    options.map((option) => h("option", {}, option)),
  );
}

function labeledSelect(label, control) {
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}
