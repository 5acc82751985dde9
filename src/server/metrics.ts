/**
 * What is counted, as Prometheus reads it (text format 0.0.4). A library for it would be carried by every app that installs
 * coatcheck, and what is needed of one is on this page.
 *
 * @module
 */

/** Bounds of the durations, in seconds. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

const CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;

/** The answers of one endpoint. */
export class EndpointTally {
  readonly #statuses: number[] = CLASSES.map(() => 0);
  readonly #buckets: number[] = Array.from({ length: BOUNDS.length + 1 }, () => 0);
  #seconds = 0;

  /** Counts an answer. `ms`: from the head of the request to its answer. */
  count(status: number, ms: number): void {
    const at = Math.trunc(status / 100) - 1;
    this.#statuses[at] = (this.#statuses[at] ?? 0) + 1;
    const seconds = ms / 1000;
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] as number)) bucket++;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#seconds += seconds;
  }

  /** Lines of the counter of answers. */
  answers(endpoint: string): readonly string[] {
    return CLASSES.flatMap((name, i) => {
      const count = this.#statuses[i] ?? 0;
      return count === 0 ? [] : [`coatcheck_requests_total{endpoint="${endpoint}",class="${name}"} ${count}`];
    });
  }

  /** Lines of the histogram of durations. */
  durations(endpoint: string): readonly string[] {
    const name = "coatcheck_request_duration_seconds";
    let below = 0;
    const bounds = [...BOUNDS.map(String), "+Inf"];
    const lines = bounds.map((bound, i) => {
      below += this.#buckets[i] ?? 0;
      return `${name}_bucket{endpoint="${endpoint}",le="${bound}"} ${below}`;
    });
    return below === 0
      ? []
      : [
          ...lines,
          `${name}_sum{endpoint="${endpoint}"} ${this.#seconds}`,
          `${name}_count{endpoint="${endpoint}"} ${below}`,
        ];
  }
}

/** A metric, and how it is read. */
interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly lines: () => readonly string[];
}

/** Counts for each value of a label. There are as many as there are applications, never as many as there are clients. */
export class LabelledCount {
  readonly #counts = new Map<string, number>();

  add(value: string): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  lines(name: string, label: string): readonly string[] {
    return [...this.#counts].map(([value, count]) => `${name}{${label}="${escaped(value)}"} ${count}`);
  }
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** All that a server counts. */
export class Metrics {
  readonly #endpoints = new Map<string, EndpointTally>();
  readonly applications: LabelledCount = new LabelledCount();
  readonly rateLimited: LabelledCount = new LabelledCount();
  storeFailures = 0;
  credentialsRefused = 0;
  malformed = 0;
  connectionsDropped = 0;
  underWay = 0;
  readonly #others: Metric[] = [];

  constructor() {
    this.#addOwn();
  }

  /** The tally of an endpoint. */
  endpoint(path: string): EndpointTally {
    let tally = this.#endpoints.get(path);
    if (tally === undefined) this.#endpoints.set(path, (tally = new EndpointTally()));
    return tally;
  }

  /** Adds a metric whose value is asked for when somebody looks. */
  add(name: string, type: "counter" | "gauge", help: string, value: () => number): void {
    this.#others.push({ name, type, help, lines: () => [`${name} ${value()}`] });
  }

  /** Adds one with labels. */
  addLines(metric: Metric): void {
    this.#others.push(metric);
  }

  /** The page. */
  text(): string {
    return this.#others
      .map(({ name, type, help, lines }) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${joined(lines())}`)
      .join("");
  }

  #addOwn(): void {
    const endpoints = (of: (tally: EndpointTally, path: string) => readonly string[]) => (): readonly string[] =>
      [...this.#endpoints].flatMap(([path, tally]) => of(tally, path));
    this.addLines({
      name: "coatcheck_requests_total",
      type: "counter",
      help: "Answers by endpoint and class of status.",
      lines: endpoints((tally, path) => tally.answers(path)),
    });
    this.addLines({
      name: "coatcheck_request_duration_seconds",
      type: "histogram",
      help: "From the head of a request to its answer.",
      lines: endpoints((tally, path) => tally.durations(path)),
    });
    const applications = "coatcheck_application_requests_total";
    this.addLines({
      name: applications,
      type: "counter",
      help: "Requests of each application.",
      lines: () => this.applications.lines(applications, "application"),
    });
    const limited = "coatcheck_rate_limited_total";
    this.addLines({
      name: limited,
      type: "counter",
      help: "Requests that came too fast and got 503.",
      lines: () => this.rateLimited.lines(limited, "application"),
    });
    this.add("coatcheck_store_failures_total", "counter", "Calls that the store failed.", () => this.storeFailures);
    const refused = "Requests without a credential that is known.";
    this.add("coatcheck_credentials_refused_total", "counter", refused, () => this.credentialsRefused);
    this.add("coatcheck_malformed_requests_total", "counter", "What was no HTTP, or too slow.", () => this.malformed);
    this.add("coatcheck_requests_under_way", "gauge", "Requests without an answer yet.", () => this.underWay);
    const dropped = "Connections beyond the limit.";
    this.add("coatcheck_connections_dropped_total", "counter", dropped, () => this.connectionsDropped);
  }
}

function joined(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
