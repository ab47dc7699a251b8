// What happens next.

/** Events in the order of their time. */
export class Heap<Event extends { at: number }> {
  private readonly items: Event[] = [];

  get size(): number {
    return this.items.length;
  }

  push(event: Event): void {
    const { items } = this;
    let n = items.push(event) - 1;
    while (n > 0) {
      const parent = (n - 1) >> 1;
      if ((items[parent] as Event).at <= event.at) break;
      items[n] = items[parent] as Event;
      n = parent;
    }
    items[n] = event;
  }

  pop(): Event | undefined {
    const { items } = this;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let n = 0;
    for (;;) {
      let child = 2 * n + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] as Event).at < (items[child] as Event).at) child++;
      if ((items[child] as Event).at >= last.at) break;
      items[n] = items[child] as Event;
      n = child;
    }
    items[n] = last;
    return first;
  }
}
