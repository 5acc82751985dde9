/** A wire between clients and a server that can be cut at the worst of times: when requests have arrived, and answers not. */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A wire. */
export interface Proxy {
  readonly port: number;
  /** Lets requests through and keeps answers back for so many milliseconds, and then cuts all connections. */
  loseAnswers(ms: number): Promise<void>;
  /** Leads to another server from now on; connections to the one before are cut. */
  pointTo(target: number): void;
  stop(): Promise<void>;
}

/** Puts a wire before a server of this machine. */
export async function startProxy(target: number): Promise<Proxy> {
  let to = target;
  const sockets = new Set<Socket>();
  let isDeaf = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    // The other end sees to what follows from it.
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const upstream = connect(to, "127.0.0.1");
    [client, upstream].forEach(keep);
    client.pipe(upstream);
    upstream.on("data", (bytes) => void (isDeaf || client.write(bytes)));
    upstream.on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    async loseAnswers(ms) {
      isDeaf = true;
      await new Promise((resolve) => {
        setTimeout(resolve, ms);
      });
      cut();
      isDeaf = false;
    },
    pointTo(other) {
      to = other;
      cut();
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}
