import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MYSQL_CLIENTS, type ConnectedMysql } from "../../test/servers/mariadb-clients.ts";
import { MARIADB_PROGRAMS, startMariadb, type Mariadb } from "../../test/servers/mariadb.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { storeCases } from "../testing/store-cases.ts";
import { mysqlStore, type MysqlClient } from "./mysql.ts";

let made = 0;

describeWithServers("MariaDB", MARIADB_PROGRAMS, () => {
  let server: Mariadb;
  beforeAll(async () => {
    server = await startMariadb();
  });
  afterAll(() => server?.stop());

  describe.each(Object.entries(MYSQL_CLIENTS))("%s:", (_, connect) => {
    let connected: ConnectedMysql;
    /** One that no other client uses. */
    const table = `kit_${++made}`;
    beforeAll(async () => {
      connected = await connect(server);
      await mysqlStore(connected.client, { ...connected.options, table }).createSchema();
    });
    afterAll(() => connected?.close());

    for (const { name, run } of storeCases)
      test(name, () => run(() => mysqlStore(connected.client, { ...connected.options, table })));
  });
});

describe("mysqlStore refuses", () => {
  const client = { execute() {}, query() {}, promise() {} };

  test.each([
    undefined,
    null,
    {},
    "mysql://localhost",
    1,
    { query() {} },
    { execute() {}, query() {} },
    { pool: null },
  ])("what is no client of mysql2: %s", (other) => {
    expect(() => mysqlStore(other as MysqlClient)).toThrow(TypeError);
    expect(() => mysqlStore(other as MysqlClient)).toThrow(/mysql2/);
  });

  test.each<[string, object]>([
    ["table", { table: "a-b" }],
    ["table", { table: "a.b.c" }],
    ["table", { table: "x".repeat(51) }],
    ["table", { table: "a`; DROP TABLE b; --" }],
    ["prepare", { prepare: "yes" }],
    ["sweepInterval", { sweepInterval: "soon" }],
    ["tabel", { tabel: "sessions" }],
  ])("what cannot work, and names the option: %s %o", (option, options) => {
    expect(() => mysqlStore(client, options)).toThrow(TypeError);
    expect(() => mysqlStore(client, options)).toThrow(new RegExp(`^${option}\\b`));
  });
});
