/**
 * What the process takes of its machine, as metrics.
 *
 * @module
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Metrics } from "./metrics.ts";

/** How often the event loop is looked at, in milliseconds. */
const RESOLUTION = 20;

/** Adds CPU, memory and the delay of the event loop. Returns what ends the measuring. */
export function addProcessMetrics(metrics: Metrics): () => void {
  metrics.add(
    "process_cpu_user_seconds_total",
    "counter",
    "CPU time in the program.",
    () => process.cpuUsage().user / 1e6,
  );
  metrics.add(
    "process_cpu_system_seconds_total",
    "counter",
    "CPU time in the system.",
    () => process.cpuUsage().system / 1e6,
  );
  metrics.add("process_resident_memory_bytes", "gauge", "Memory of the process.", () => process.memoryUsage.rss());
  metrics.add("process_heap_bytes", "gauge", "Heap in use.", () => process.memoryUsage().heapUsed);
  const startedAt = Math.round(Date.now() / 1000 - process.uptime());
  metrics.add("process_start_time_seconds", "gauge", "When it started, since 1970.", () => startedAt);
  return addLoopDelay(metrics);
}

function addLoopDelay(metrics: Metrics): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  delay.enable();
  metrics.addLines({
    name: "coatcheck_event_loop_delay_seconds",
    type: "gauge",
    help: "How late the event loop was since the last look at this page.",
    lines: () => linesOf(delay),
  });
  return () => delay.disable();
}

function linesOf(delay: ReturnType<typeof monitorEventLoopDelay>): readonly string[] {
  const lines = [50, 99, 100].map((percentile) => {
    // What it measures includes the time between two looks.
    const seconds = Math.max(0, delay.percentile(percentile) / 1e9 - RESOLUTION / 1000);
    return `coatcheck_event_loop_delay_seconds{quantile="${percentile / 100}"} ${seconds}`;
  });
  delay.reset();
  return lines;
}
