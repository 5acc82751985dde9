import { scrypt, timingSafeEqual } from "node:crypto";

interface PasswordHash {
  readonly salt: string;
  readonly hash: string;
}

/** OWASP's parameters for scrypt; 32 MiB and about 0.2 s a try. */
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 2 ** 20 } as const;

/** Two customers, ada/lovelace and grace/hopper. A real shop has them in a database, and takes no new ones by editing code. */
const users: ReadonlyMap<string, PasswordHash> = new Map([
  ["ada", { salt: "w4IHvQN75kkW9w-5n_gREg", hash: "T2wREau1bC_EtVpDHWM3l1xCPR8HPb7b1j5WNR8pqFU" }],
  ["grace", { salt: "PVR71KU_a5JumkbIyfVrgA", hash: "kJgT0aDuM89lBHVOzYOMd5X1CsQofxnWzqXcgiqEypo" }],
]);

/** Checked when nobody has the name, so that the time of the answer does not tell who is a customer. */
const nobody: PasswordHash = {
  salt: "0Dp-YC_4vjU957PcLyqY2w",
  hash: "Vp0yZx84BT3YQwHbWD6sgQ3pq9zXiGvV-M3HUg-GXW0",
};

/** Whether this is the user's password. */
export async function isPassword(username: string, password: string): Promise<boolean> {
  const known = users.get(username);
  const matches = await verify(password, known ?? nobody);
  return matches && known !== undefined;
}

async function verify(password: string, { salt, hash }: PasswordHash): Promise<boolean> {
  const expected = Buffer.from(hash, "base64url");
  const actual = await new Promise<Buffer>((resolve, reject) => {
    scrypt(password, Buffer.from(salt, "base64url"), expected.length, COST, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
  return timingSafeEqual(actual, expected);
}
