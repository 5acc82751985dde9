import { expect, test } from "vitest";
import { credentialCommand } from "./credential.ts";
import { UsageError } from "./usage.ts";

test.each([
  [["ad"], UsageError, /There is no command credential ad\. Did you mean add\?/],
  [["toString"], UsageError, /There is no command credential toString\.$/],
  [["add"], UsageError, /Say whose it is: --application NAME/],
  [["add", "shop"], UsageError, /takes options only/],
  [["add", "--application", "Shop"], UsageError, /--namespace: expected 1 to 32/],
  [["add", "--application", "a b"], UsageError, /--application: expected 1 to 64/],
  [["add", "--aplication", "a"], UsageError, /Did you mean --application\?/],
  [["remove"], UsageError, /takes one ID/],
  [["remove", "1", "--file", "/nowhere.json"], Error, /make a credential with coatcheck credential add/],
  [["list", "--file", "/nowhere.json"], Error, /make a credential with coatcheck credential add/],
])("a command about credentials that cannot be says why: %j", (args, kind, message) => {
  expect(() => credentialCommand(args)).toThrow(expect.objectContaining({ message: expect.stringMatching(message) }));
  expect(() => credentialCommand(args)).toThrow(kind);
});
