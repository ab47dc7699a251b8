/** Form fields from the JSON Schema of a task type's `content`. */

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"text" | "long" | "number" | "flag" | "choice" | "image" | "images" | "json"} kind
 * @property {string} form what the value must be, in words
 * @property {string} help
 * @property {boolean} required
 * @property {number} [min]
 * @property {number} [max]
 * @property {boolean} [whole]
 * @property {any[]} [options] of a choice
 */

/** The fields that a form shows, in its order. All others can be set as JSON. */
const SHOWN = [
  ...["prompt", "negative_prompt"],
  ...["init_images", "init_image", "image", "ref_images", "mask", "mask_image"],
  ...["width", "height", "size", "steps", "num_inference_steps", "cfg_scale", "guidance_scale"],
  ...["denoising_strength", "strength", "sampler_name", "scheduler", "seed"],
  ...["batch_size", "batch_count", "n", "output_format", "upscaling_resize", "upscaler_1"],
];

/** Texts that are long. */
const LONG = ["prompt", "negative_prompt"];

/**
 * All fields of a schema, and which of them a form shows.
 * @param {any} schema
 * @returns {{ all: Field[], shown: Field[] }}
 */
export function fieldsOf(schema) {
  const required = schema?.required ?? [];
  const all = Object.entries(schema?.properties ?? {}).map(([name, property]) =>
    field(
      name,
      { ...resolved(property, schema), description: property.description },
      required.includes(name),
    ),
  );
  const place = (field) => (SHOWN.includes(field.name) ? SHOWN.indexOf(field.name) : SHOWN.length);
  const shown = all.filter(
    (field) => (SHOWN.includes(field.name) || field.required) && field.kind !== "json",
  );
  return { all, shown: shown.sort((left, right) => place(left) - place(right)) };
}

/** A property with what it refers to. Its own keywords win. */
function resolved(property, schema) {
  const name = property.$ref?.match(/^#\/\$defs\/([^/]+)$/)?.[1];
  return name ? { ...schema.$defs?.[name], ...property } : property;
}

function field(name, property, required) {
  const { title: form = "", description: help = "", minimum: min, maximum: max, enum: options } = property;
  const kind = kindOf(name, property);
  return {
    name,
    label: name.replaceAll("_", " "),
    kind,
    form,
    help,
    required,
    min,
    max,
    options,
    whole: /whole number/.test(form),
  };
}

/** The first type is the natural one: others are types that a runtime accepts too. Images are known by their title. */
function kindOf(name, { title = "", type, enum: options }) {
  if (/^an image\b/.test(title)) return "image";
  if (/^a list of (at least one )?images?\b/.test(title)) return "images";
  if (options) return "choice";
  if (/\bnumber\b/.test(title)) return "number";
  switch ([type].flat()[0]) {
    case "string":
      return LONG.includes(name) ? "long" : "text";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "flag";
    default:
      return "json";
  }
}
