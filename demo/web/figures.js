/** Latency figures of a running call, read from the browser's own statistics. */

/** Differences between successive readings, so that figures are about now and not about the whole call. */
export class FigureReader {
  #emitted = 0;
  #delay = 0;

  /** Reads once: `{roundTripMs, jitterBufferMs, lost, packetsReceived, packetsSent}`; null where unknown. */
  async read(pc) {
    const reports = [...(await pc.getStats()).values()];
    const incoming = reports.find((report) => report.type === "inbound-rtp" && report.kind === "audio");
    const outgoing = reports.filter((report) => report.type === "outbound-rtp");
    const pair = reports.find((report) => report.type === "candidate-pair" && report.nominated && report.state === "succeeded");
    return {
      roundTripMs: pair?.currentRoundTripTime === undefined ? null : pair.currentRoundTripTime * 1000,
      jitterBufferMs: incoming ? this.#jitterBuffer(incoming) : null,
      lost: incoming?.packetsLost ?? null,
      packetsReceived: incoming?.packetsReceived ?? 0,
      packetsSent: outgoing.reduce((sum, report) => sum + report.packetsSent, 0),
    };
  }

  #jitterBuffer({ jitterBufferDelay = 0, jitterBufferEmittedCount = 0 }) {
    const emitted = jitterBufferEmittedCount - this.#emitted;
    const delay = jitterBufferDelay - this.#delay;
    this.#emitted = jitterBufferEmittedCount;
    this.#delay = jitterBufferDelay;
    return emitted > 0 ? (delay / emitted) * 1000 : null;
  }
}
