/** What the demo is told by its environment. */
export interface Options {
  /** `PORT`: where the control room is. Undefined: 4000, or any free one when that is taken. */
  readonly port: number | undefined;
  /** `SHOP_PORT`: where the shop is, through the proxy. Undefined: 4001, or any free one. */
  readonly shopPort: number | undefined;
  /** `PROXY`: undefined takes HAProxy where there is one, else nginx. */
  readonly proxy: "haproxy" | "nginx" | undefined;
  /** `STORE`: undefined takes Redis where there is one, else a SQLite file. */
  readonly store: "redis" | "sqlite" | undefined;
}

export const HELP = `npm run demo:fleet

The shop on three servers behind a real proxy, with one shared store, and a control room that shows what happens while you
kill, pause, drain and revive them. Everything runs on this machine, in a temporary directory, and ends with Ctrl-C.

Settings, by the environment:
  PORT        where the control room is: default 4000, or any free port when that is taken; 0 for any free one
  SHOP_PORT   where the shop is: default 4001, in the same way
  PROXY       haproxy or nginx: default HAProxy if it is installed, else nginx
  STORE       redis or sqlite: default Redis if redis-server is installed, else a SQLite file

It needs haproxy or nginx (apt install haproxy, brew install haproxy), and is better with redis-server.`;

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws Error with a sentence for whoever started the demo */
export function optionsOf(env: Environment): Options {
  return {
    port: portOf(env, "PORT"),
    shopPort: portOf(env, "SHOP_PORT"),
    proxy: choiceOf(env, "PROXY", ["haproxy", "nginx"]),
    store: choiceOf(env, "STORE", ["redis", "sqlite"]),
  };
}

function portOf(env: Environment, name: string): number | undefined {
  const text = env[name] || undefined;
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new Error(`${name} has to be a number from 0 to 65535, and it is ${JSON.stringify(text)}.`);
}

function choiceOf<Choice extends string>(
  env: Environment,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = env[name] || undefined;
  const choice = choices.find((each) => each === text);
  if (text === choice) return choice;
  throw new Error(`${name} has to be ${choices.join(" or ")}, and it is ${JSON.stringify(text)}.`);
}
