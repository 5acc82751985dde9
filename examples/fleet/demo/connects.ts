import { connect } from "node:net";

/** Whether somebody listens on a port of the loopback interface. */
export async function connects(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => [socket.destroy(), resolve(true)]);
    socket.once("error", () => resolve(false));
  });
}
