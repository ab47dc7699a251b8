// Private addresses that the pods' network policy has to open: those among `inputs.hosts`, which the worker's own guard opens,
// too, and networks of interface endpoints, where tasks may name no inputs.

import { isIP } from "node:net";

/** A rule of a NetworkPolicy's `egress`. */
interface EgressRule {
  to: { ipBlock: { cidr: string } }[];
  ports: { protocol: "TCP"; port: number }[];
}

/** Where an address without a port is asked: HTTP and HTTPS. */
const WEB = [80, 443];

/** One rule per address or network. Host names open nothing: a network policy has only addresses. */
export function privateInputs(hosts: string[]): EgressRule[] {
  return hosts.flatMap((host) => {
    const { address, port } = parts(host);
    const cidr = block(address);
    if (!cidr) return [];
    const ports = (port === undefined ? WEB : [port]).map((port) => ({ protocol: "TCP" as const, port }));
    return [{ to: [{ ipBlock: { cidr } }], ports }];
  });
}

/** AWS's APIs, which answer HTTPS only. Inputs from these networks stay refused by the worker. */
export function endpoints(networks: string[]): EgressRule[] {
  if (networks.length === 0) return [];
  return [{ to: networks.map((cidr) => ({ ipBlock: { cidr } })), ports: [{ protocol: "TCP", port: 443 }] }];
}

/** `10.1.2.3`, `10.1.2.3:8080`, `10.0.0.0/8`, `fd00::1`, `[fd00::1]:8080`; of a name whatever. */
function parts(host: string): { address: string; port?: number } {
  const [, address, port] = /^\[(.+)\]:(\d+)$/.exec(host) ?? /^([^:]+):(\d+)$/.exec(host) ?? [];
  return address === undefined ? { address: host } : { address, port: Number(port) };
}

function block(address: string): string | undefined {
  const [ip = "", bits] = address.split("/");
  const version = isIP(ip);
  if (version === 0) return undefined;
  return bits === undefined ? `${ip}/${version === 4 ? 32 : 128}` : address;
}
