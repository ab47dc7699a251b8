/** A ComfyUI workflow: a file in the API format, or its JSON, with inputs for what is changed most. */

import { h, part } from "./dom.js";
import { jsonInput } from "./fields.js";
import { addressOf, dropZone } from "./inputs.js";
import { isObject, numberOf, parse, plain } from "./json.js";

/** The inputs of nodes that have a field of their own. */
const SHOWN = ["text", "prompt", "seed", "noise_seed", "steps", "cfg", "width", "height", "batch_size"];
/** Inputs that take a file. */
const FILES = ["image", "video", "audio"];

/**
 * One input, whose value is the whole workflow.
 * @returns {Array<import("./fields.js").Input & { read: (files: File[]) => Promise<void> }>}
 */
export function workflowInputs() {
  const source = jsonInput({
    pointer: "/content",
    id: "workflow",
    label: "workflow",
    rows: 14,
    help: "The JSON of ComfyUI's “Export (API)”.",
  });
  const text = source.element.querySelector("textarea");
  const picker = h("input", { id: "workflow-file", type: "file", accept: "application/json,.json" });
  const read = async ([file]) => {
    text.value = await file.text();
    text.dispatchEvent(new Event("input"));
    picker.value = "";
  };
  picker.addEventListener("change", () => picker.files.length > 0 && read([...picker.files]));

  const quick = h("div", { class: "quick" });
  /** Built again only if the nodes change, not their values. */
  const show = part(quick, (places) => places.map((place) => nodeInput(place, text)));
  text.addEventListener("input", () => show(placesOf(graphOf(text.value))));

  const file = h(
    "div",
    { class: "field" },
    h("label", { for: "workflow-file" }, "workflow file"),
    dropZone(picker, read),
  );
  return [
    {
      ...source,
      read,
      kind: "workflow",
      element: h("div", { class: "workflow" }, file, quick, source.element),
    },
  ];
}

function graphOf(text) {
  try {
    const graph = parse(text);
    return isObject(graph) ? graph : {};
  } catch {
    return {};
  }
}

/** The inputs of nodes that get a field. */
function placesOf(graph) {
  return Object.entries(graph).flatMap(([id, node]) => {
    if (!isObject(node?.inputs)) return [];
    const title = plain(node._meta?.title ?? node.class_type ?? id);
    const isLoader = /^Load/.test(node.class_type);
    return Object.entries(node.inputs).flatMap(([name, value]) => {
      const isFile = isLoader && FILES.includes(name) && typeof value === "string";
      const isValue = SHOWN.includes(name) && !Array.isArray(value) && value !== null;
      return isFile || isValue ? [{ id, name, title, isFile, isText: typeof value === "string" }] : [];
    });
  });
}

/** A field for one input of a node. It writes into the JSON, which is what is sent. */
function nodeInput({ id, name, title, isFile, isText }, source) {
  const change = (value) => {
    const graph = graphOf(source.value);
    if (!graph[id]) return;
    graph[id].inputs[name] = value;
    source.value = JSON.stringify(graph, null, 2);
  };
  const inputId = `node-${id}-${name}`;
  const label = h("label", { for: inputId }, name, " ", h("small", {}, title));
  if (isFile) {
    const note = h("p", { class: "help" });
    const store = async ([file]) => {
      note.textContent = `storing ${file.name} …`;
      try {
        change(await addressOf(file));
        note.textContent = `${file.name} is stored.`;
      } catch (error) {
        note.textContent = error.message;
      }
    };
    const picker = h("input", { id: inputId, type: "file", onchange: () => store([...picker.files]) });
    return h("div", { class: "field image" }, label, dropZone(picker, store), note);
  }
  const value = plain(graphOf(source.value)[id].inputs[name]);
  if (isText) {
    const area = h("textarea", { id: inputId, rows: 2, value, oninput: () => change(area.value) });
    return h("div", { class: "field long" }, label, area);
  }
  // A number as text keeps all digits of a seed.
  const input = h("input", {
    id: inputId,
    type: "text",
    inputmode: "decimal",
    value,
    oninput: () => change(numberOf(input.value)),
  });
  return h("div", { class: "field number" }, label, input);
}
