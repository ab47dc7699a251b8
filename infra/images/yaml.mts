// The YAML library of the CDK app, which is the only place where packages are installed.

export { parseDocument } from "../cdk/node_modules/yaml/dist/index.js";
