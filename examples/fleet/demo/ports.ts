import { createServer } from "node:net";

/** Below the range from which systems take the ports of outgoing connections, which would come in between. */
const [FIRST_PORT, LAST_PORT] = [20_000, 31_999];

/** `asked`; when nobody asked, `usual` if it is free; and any free one for 0, and when the usual one is taken. */
export async function choosePort(asked: number | undefined, usual: number): Promise<number> {
  const wish = asked ?? usual;
  if (wish !== 0 && (await isFree(wish))) return wish;
  if (asked !== undefined && asked !== 0) throw new Error(`Port ${asked} is in use. Choose another, or 0 for any.`);
  return await freePort();
}

/** A port of the loopback interface that is free at the moment: for servers that have to be told theirs. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
