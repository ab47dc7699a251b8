/** Inputs for the fields of a task type, and the `content` that they make. */

import { h, mark } from "./dom.js";
import { imageInput } from "./inputs.js";
import { isObject, numberOf, parse } from "./json.js";

/** @typedef {import("./schema.js").Field} Field */

/**
 * A field of a form: its element, its value (undefined if it is empty), and where a fault is shown.
 * @typedef {object} Input
 * @property {string} pointer of its value in the body of the request
 * @property {string} kind that of its field, or `workflow`
 * @property {HTMLElement} element
 * @property {(signal: AbortSignal) => Promise<any>} value
 * @property {(message: string) => void} mark
 */

/**
 * @param {Field} field
 * @returns {Input}
 */
export function inputOf(field) {
  const pointer = `/content/${field.name}`;
  const id = `field-${field.name}`;
  if (field.kind === "image" || field.kind === "images") return imageInput(field, id, pointer);
  const control = controlOf(field, id);
  return labeled({
    pointer,
    label: field.label,
    help: field.help,
    kind: field.kind,
    control,
    value: () => valueOf(field, control),
  });
}

/**
 * A control with its label, its help and the place of its fault.
 * @returns {Input}
 */
export function labeled({ pointer, label, help, kind, control, value }) {
  const fault = h("p", { id: `${control.id}-fault`, class: "error", hidden: true });
  const about = help && h("p", { id: `${control.id}-help`, class: "help" }, help);
  control.setAttribute("aria-describedby", `${control.id}-fault${help ? ` ${control.id}-help` : ""}`);
  const element = h(
    "div",
    { class: `field ${kind}` },
    h("label", { for: control.id }, label),
    control,
    about,
    fault,
  );
  control.addEventListener("input", () => mark(control, fault, ""));
  const marked = (message) => mark(control, fault, message);
  return { pointer, kind, element, value: async () => value(), mark: marked };
}

function controlOf(field, id) {
  const common = { id, name: field.name, required: field.required };
  switch (field.kind) {
    case "long":
      return h("textarea", { ...common, rows: field.name === "prompt" ? 4 : 2 });
    case "number":
      return h("input", {
        ...common,
        type: "number",
        inputmode: field.whole ? "numeric" : "decimal",
        min: field.min,
        max: field.max,
        step: field.whole ? 1 : "any",
      });
    case "flag":
      return h("select", common, ["", "true", "false"].map(option));
    case "choice":
      return h("select", common, ["", ...field.options.filter((value) => value !== null)].map(option));
    default:
      return h("input", { ...common, type: "text", autocomplete: "off", spellcheck: "false" });
  }
}

function option(value) {
  return h("option", { value }, value === "" ? "default" : value);
}

function valueOf(field, control) {
  if (control.value === "") return undefined;
  if (field.kind === "number") return numberOf(control.value);
  return field.kind === "flag" ? control.value === "true" : control.value;
}

/**
 * A text area for a JSON object.
 * @returns {Input}
 */
export function jsonInput({ pointer, id, label, help, rows = 4 }) {
  const control = h("textarea", { id, rows, class: "code", spellcheck: "false", autocomplete: "off" });
  const value = () => {
    const text = control.value.trim();
    if (text === "") return undefined;
    const json = parse(text);
    if (!isObject(json)) throw new SyntaxError("it is no JSON object");
    return json;
  };
  return labeled({ pointer, label, help, kind: "json", control, value });
}
