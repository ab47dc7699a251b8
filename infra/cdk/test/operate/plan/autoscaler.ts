// KEDA and the HPA, as far as they decide how many pods there are; as in infra/checks/manifests/autoscaler.py.

import type { Policy, Scaling } from "./chart.ts";

/** kube-controller-manager's defaults: --horizontal-pod-autoscaler-sync-period and -tolerance. */
export const SYNC_SECONDS = 15;
const TOLERANCE = 0.1;

/** Holds the number of replicas that the Deployment names. */
export class Autoscaler {
  replicas: number;
  private activeAt = Number.NEGATIVE_INFINITY;
  private recommended: { at: number; pods: number }[] = [];
  private changes: { at: number; pods: number }[] = [];

  constructor(private readonly scaling: Scaling) {
    this.replicas = scaling.min;
  }

  /** KEDA's part, each `pollingInterval`: between none and one. */
  poll(now: number, metric: number): void {
    const { min, cooldown } = this.scaling;
    if (metric > 0) {
      this.activeAt = now;
      this.replicas ||= Math.max(min, 1);
    } else if (min === 0 && now - this.activeAt > cooldown) {
      this.replicas = 0;
    }
  }

  /** The HPA's part, each `SYNC_SECONDS`: from one on. */
  sync(now: number, metric: number): void {
    if (this.replicas === 0) return;
    const { min, max, up, down, stabilization } = this.scaling;
    const near = Math.abs(metric / this.replicas - 1) <= TOLERANCE;
    let wanted = near ? this.replicas : Math.ceil(metric);
    wanted = Math.min(Math.max(wanted, min, 1), max);
    this.recommended = this.recommended.filter(({ at }) => at > now - stabilization);
    this.recommended.push({ at: now, pods: wanted });
    if (wanted < this.replicas) {
      wanted = Math.min(Math.max(...this.recommended.map(({ pods }) => pods)), this.replicas);
      wanted = Math.max(wanted, this.replicas - this.allowed(now, down));
    } else if (wanted > this.replicas) {
      wanted = Math.min(wanted, this.replicas + this.allowed(now, up));
    }
    if (wanted !== this.replicas) {
      this.changes.push({ at: now, pods: wanted - this.replicas });
      this.replicas = wanted;
    }
  }

  /** How many pods the most generous policy still lets go or come. */
  private allowed(now: number, policies: Policy[]): number {
    const by = ({ type, value, periodSeconds }: Policy) => {
      const since = now - periodSeconds;
      this.changes = this.changes.filter(({ at }) => at > now - 3600);
      const recent = this.changes
        .filter(({ at }) => at > since)
        .reduce((sum, { pods }) => sum + Math.abs(pods), 0);
      return Math.max((type === "Pods" ? value : Math.ceil((this.replicas * value) / 100)) - recent, 0);
    };
    return Math.max(...policies.map(by));
  }
}
