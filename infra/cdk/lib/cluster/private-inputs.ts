// The addresses among `inputs.hosts`, as the pods' network policy has to know them: it closes all that is
// private, and the worker's own guard opens only what the list names.

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
