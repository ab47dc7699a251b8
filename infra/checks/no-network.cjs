// Loaded into every Node.js process of a check (`node --require`): name resolution and connections fail with an error.

const dns = require("node:dns");
const net = require("node:net");

function refuse(what) {
  process.stderr.write(`no network here, and something asked for ${what}\n${new Error().stack}\n`);
  process.exit(1);
}

dns.lookup = (name) => refuse(`the address of ${name}`);
dns.promises.lookup = (name) => refuse(`the address of ${name}`);

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  // Arguments come as they were given, or as `net` has normalized them. Pipes between processes have a path.
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  if (options?.path === undefined && typeof options !== "string") refuse(JSON.stringify(options));
  return connect.apply(this, args);
};
