import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bitFlips, contextOf } from "../../test/protection-testbed.ts";
import { hex, utf8 } from "../internal/bytes.ts";
import { nodeCrypto, type NodeCrypto } from "../internal/crypto.ts";
import { protectionCases } from "../testing/protection-cases.ts";
import type { KtorMac } from "./ktor-hmac.ts";
import { ktorEncrypt, ktorEncryptWith, type KtorEncryptOptions } from "./ktor-encrypt.ts";
import type { KtorProtection } from "./ktor-protection.ts";
import { ktorSign, ktorSignWith } from "./ktor-sign.ts";
import { fromHex } from "./ktor-text.ts";

const ENGINES: readonly (readonly [name: string, node: NodeCrypto | undefined])[] = [
  ["node:crypto", nodeCrypto],
  ["WebCrypto", undefined],
];

// --- vectors ------------------------------------------------------------------------------------------------------------

/** Of Ktor's own tests: M1. */
const MAC_KEY = "003515606058610610561058";
/** Of Ktor's own tests: E1 to E9. */
const EK = "00112233445566778899aabbccddeeff";
const SK = "02030405060708090a0b0c";
const IV = "00112233445566778899aabbccddeeff";

/** Computed by the Mac of the JDK 17, which is what Ktor uses, under MAC_KEY; two checked with Python's hmac. */
const SIGNED: readonly (readonly [algorithm: KtorMac, text: string, mac: string])[] = [
  ["HmacSHA256", "", "bc2b384b7df723c12695e696bc18279e37e9213f3cfdefbc7af563640922d7bc"],
  ["HmacSHA256", "666", "9261c7c3adb9e680685bc38062d12107b3527443df356716a4e28526f43aabc0"],
  ["HmacSHA256", '{"userId":"id 2","cart":[]}', "0adc94dc04d0122b8139e88250ab61bcc01980ed3898eb4e557e2a749e17ab16"],
  ["HmacSHA256", "a/b/c", "faebdcb1ebe011bb49b9d50522ba596d04fc8efd5c9c9c75a63ed90ba47c59b7"],
  ["HmacSHA256", "żółć 日本語 🧥", "1f1c7ca4079e9f6befcb5c9b43b4251fee267965c05f37fd2e90a089efbece90"],
  ["HmacSHA256", "cart=%23cl&userId=%23sid2", "7c074ebfe2bc283d5a280dd43e17361d1e11222cb4738f93d6ea7798f2760a51"],
  ["HmacSHA256", "xxxxxxxxxxxxxxx", "348d5b382dde6afe5e947470a8167d5357600063cdbe1e8fee50f854b0bf86da"],
  ["HmacSHA256", "xxxxxxxxxxxxxxxx", "70d755059e77b263679380a8831d4c7d7962d17aa33ce361235d7031916729f2"],
  ["HmacSHA256", "xxxxxxxxxxxxxxxxx", "354e0ec8a3eb802a88c3a6e6a5d85688583732a45b945dc6d4f65dddada2f5a4"],
  ["HmacSHA256", '{"a":{"b":[1,2,{"c":null}]}}', "5d704a6ecb7ec442337b194cedd5008ef83803856489c6f2acdb388d59ac1670"],
  ["HmacSHA1", "", "533649d3e9dc50868717c85368bea67c64d0af48"],
  ["HmacSHA1", "666", "92c865c73004d9b84e067282112ce8074adc1c4b"],
  ["HmacSHA1", "żółć 日本語 🧥", "cf99207c042c238a6fb57a83e3e56c8078ccab6f"],
  [
    "HmacSHA384",
    "",
    "91916cdd793292c1cd6f03279ce47403ea6b076b4096c5a6963bc973372879eefc1647b583478efab6a3799375d0711b",
  ],
  [
    "HmacSHA384",
    "666",
    "5a3389d8fcdcfea95c22bd37215c41838c9267ec08b87f3ee4595411ecab25fe8007f14adf64dd7edfb16067b05d45cc",
  ],
  [
    "HmacSHA384",
    "żółć 日本語 🧥",
    "3cf472131cc5e33fc30f5a940349e21e19ea84c3e68f8400d67407fc88a55a059fa51704bd00a7ee91fba88073d9edb7",
  ],
  [
    "HmacSHA512",
    "",
    "dba918afd56df73b462382399a78d3514812d92b5ed5852d8808c547d4b2f0efd8cd41f0ee369e1093ef6518e02f68c4018a53ed2a80956ff24be520f28b8390",
  ],
  [
    "HmacSHA512",
    "666",
    "8b5cf601390361c87192ff59b97763a05d6b5ef26a3cd63e3aea3ad4953cc2537451743eca3848083408084181d8a6489fae1272f0b4317f76c7c2244122111d",
  ],
  [
    "HmacSHA512",
    "żółć 日本語 🧥",
    "4f7c288f4a69bce56e92d2a6dbd2a03872f585e7c4765ed09af9b8943dba0a45dbe04505e6991fc03bdd9ae13be028b8a37076cbb2b67af2e3a0a4a7e6120a43",
  ],
  ["HmacMD5", "", "5250e1c5a51bd1684f80668745d0b4b2"],
  ["HmacMD5", "666", "02a5981b805ef262dde8b970d140ca08"],
  ["HmacMD5", "żółć 日本語 🧥", "b0a3383736106bfac51f229e371f7e38"],
];

/** Ktor's test of 1.2.x has this MAC of a plain hash: nothing with a key takes it for its own. */
const DIGEST = "666/c2d4eaad4fe0bc6dbd0584cdf36929d79d52d7a748d1cc02835a71131a0963fb";

/** E1 and E2: SessionTestJvm.testSessionEncrypted, testSessionEncryptedBackwardCompatible. */
const KTORS_OWN: readonly (readonly [text: string, token: string])[] = [
  [
    '{"userId":"id2","cart":[]}',
    `${IV}/9b8cf9900ff0f63849cb7a2ad71ed8a1ac9f0e2735492d2a5129cf278d70ab27:40af9f393a00034b53d2267251047259005bdf5ff104eede599149e80e6fee13`,
  ],
  [
    "cart=%23cl&userId=%23sid2",
    `${IV}/c3850fc1ddc62f71ec5eaad6d393b91fa809fe32a1cf0cb4730788c5a489daef:65f0bd15bfa7e96b8bd9e134e23a24860b324e361c606e6800af050f5d104b68`,
  ],
];

/** E3: the layout before 3.0. */
const OLD_LAYOUT = `${IV}/c3850fc1ddc62f71ec5eaad6d393b91fa809fe32a1cf0cb4730788c5a489daef:51a5e9fcd1c91418f9a623bafa5022a524348e44244265dc0cab2cebacc28a5d`;
/** The same of the text "żółć 日本語 🧥" with AES-192, by the JDK 17. */
const OLD_LAYOUT_192 =
  "0f1e2d3c4b5a69788796a5b4c3d2e1f0/34f7f7ffb02ae53bbc6e0ebf885b2ace6d81b5d8c62f1238340158f05959bc83:2f6fc2f1c7da2483961835d40b56018cbb4d99b885eca0f5e1da31665088224d";

/**
 * Computed by Cipher and Mac of the JDK 17, which is what Ktor uses; two checked with `openssl enc`. The key of n bytes is
 * 1, 8, 15, …, the signing key SK.
 */
const ENCRYPTED: readonly (readonly [bytes: 16 | 24 | 32, sign: KtorMac, text: string, token: string])[] = [
  [
    16,
    "HmacSHA256",
    "",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/72a8f87b2816382f0fd24d5f0e56ca0c:e77e0b15370759c6ef1ebb0c08f6b9d7b784640cddb804497c53891418c5bbec",
  ],
  [
    16,
    "HmacSHA256",
    "666",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/946a1ca78f45b2848957c55e2226a31b:1115944dd2d39ec01e7dd5100e77b4fb514c856886905f76b1bdfdb25bf5e732",
  ],
  [
    16,
    "HmacSHA256",
    '{"userId":"id 2","cart":[]}',
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/fac2b17d395d3fc0f30900c0ee424aee0906d26a44e30680c182288234ac4d42:71d95386971340d58f8b7a1a49749ae16156681845f38db375a9f24a2d9f7948",
  ],
  [
    16,
    "HmacSHA256",
    "a/b/c",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/e69bde2f2225a500e367308c99c183b9:1f3814a92bd7487e94bbbff1eb769a838a80c399cb3db6a2661569f6e3bc9dce",
  ],
  [
    16,
    "HmacSHA256",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/eac5ba0e18f4d0ebcb44030460f9cfbf0140254cd3b938fab0a61d4a2716c0d5:bad9a1bc724830e5dc142c82b2386d50511bf803eba0bd6224d6d6cd2f1a0554",
  ],
  [
    16,
    "HmacSHA512",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/eac5ba0e18f4d0ebcb44030460f9cfbf0140254cd3b938fab0a61d4a2716c0d5:76747a0a0ab0a9d1932ab3feb94a64635b144944e4bf6cfc4c702fd03ee67510d03953424be0b224d06992773a718ecbd06d3fd5a8eea227b3221ba428993e88",
  ],
  [
    16,
    "HmacSHA1",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/eac5ba0e18f4d0ebcb44030460f9cfbf0140254cd3b938fab0a61d4a2716c0d5:a48b5d067af0f9cfde60a09e0884a4bdb1da0f45",
  ],
  [
    16,
    "HmacSHA256",
    "cart=%23cl&userId=%23sid2",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/39be6407976297d33c4c95c9502bba842be04034712a926c024a7cc49c5f4cd9:411544cc8aea772ff768595e27497ad5116f866a80c27e0032c3b3730b80c561",
  ],
  [
    16,
    "HmacSHA256",
    "xxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/68d5483ca84c3dfa0c0ae0d86b1b106a:0f62a280250eeae2b48874fa4f2b3c1d9543b607a2510e365627a1030ea25763",
  ],
  [
    16,
    "HmacSHA256",
    "xxxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/7c813bf7063f4073cad6e08d76551b828a39b70d704ce42b69a5bae346e3a2ea:51990e0c6eae4e6c07c82df6303f631d0125d146dd3df528ef5d6123cca57900",
  ],
  [
    16,
    "HmacSHA256",
    "xxxxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/7c813bf7063f4073cad6e08d76551b824451e67abbec882df28a08efaf89ed7d:576f6f50e36035447b516c6d77a9018985dbe4faf22b549f4d22fdd0ca6ae0a3",
  ],
  [
    16,
    "HmacSHA256",
    '{"a":{"b":[1,2,{"c":null}]}}',
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/d7741624a5473f246d82f507b4fc3468e7d7c018bb2dcde3db57cf04e7c60180:e82066e1c4414aa1d2423c500c3cc246b17763ae4d7146c5f5ae19d086d696d3",
  ],
  [
    24,
    "HmacSHA256",
    "",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/f6ef482ffacefdd4ecc0fb436c8da82a:e6865560cb61191acab5153c92c33e3edb46c39c68af7b9f2ef2c7048d20f46c",
  ],
  [
    24,
    "HmacSHA256",
    "666",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/7834c43f10c0c9d03559cb6ecfd3cdcb:5ac11cbcd535aee2efa0635168dd821ade2f4bfc3314732ce85d94f5605d5d7f",
  ],
  [
    24,
    "HmacSHA256",
    '{"userId":"id 2","cart":[]}',
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/9e964fa6f684297e7cbded16346a025cb6183768459f0d5767374e0492727bf3:b2b22cf114ea49f9ab599799256d05da742f72303f2f8d2d88ad32123e6e0daf",
  ],
  [
    24,
    "HmacSHA256",
    "a/b/c",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/a18dc2c72782807ebeeeaa64f70669c2:88f959426796c7cc5f172d8117d7489f95cf05724da21336918001b5165b04fc",
  ],
  [
    24,
    "HmacSHA256",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/34f7f7ffb02ae53bbc6e0ebf885b2ace6d81b5d8c62f1238340158f05959bc83:e27fdfb04e8a23807b1fc5a44a01bd2f2a25cb0695047e10462d37f162dc45e1",
  ],
  [
    24,
    "HmacSHA512",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/34f7f7ffb02ae53bbc6e0ebf885b2ace6d81b5d8c62f1238340158f05959bc83:c07475891ac561839186769501a467a0592dc6ae19800972296314fe1a1511b1a3babba069d029c4b4c46750387ec9e3bf1173fc23c4e38883f64ebd5564cc79",
  ],
  [
    24,
    "HmacSHA1",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/34f7f7ffb02ae53bbc6e0ebf885b2ace6d81b5d8c62f1238340158f05959bc83:e93f313a5608c3ff38152ce40859a53ad9b3dd46",
  ],
  [
    24,
    "HmacSHA256",
    "cart=%23cl&userId=%23sid2",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/02bc1914d6baa6ded98f53b9cc429e712c8682cd5fe97cc60652d9d94aca2266:7c18f00f911f4bcd0e5d1a95a2c7ae8365e4e5d5817c087d4ca925dea9b3ee54",
  ],
  [
    24,
    "HmacSHA256",
    "xxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/04f7641a7e0e3a34ef56295429d62297:25368c997eddb12974373c6594fa8305f35a094382c03b1ccc1ed564d1613467",
  ],
  [
    24,
    "HmacSHA256",
    "xxxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/970db67ae7b20a60aef6b0b249b539d4850757715987d12ab28d6894760ab8f7:5fb689369db3a8aad11a3ef16a7c2f8f56b6f4fc39a7a5f999ce67c11439ce34",
  ],
  [
    24,
    "HmacSHA256",
    "xxxxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/970db67ae7b20a60aef6b0b249b539d4b8582c1278784034b330b04a6b790e89:0073e1453c1e25a550e300e4a034bdf549fe716738ae3e88de95a7ae3f1f787c",
  ],
  [
    24,
    "HmacSHA256",
    '{"a":{"b":[1,2,{"c":null}]}}',
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/609a4356fd98a9f4644915cb0e60577a787934855dd575606977a924777ed90d:9d2c81c853c38a6adda9f8907ba598593d7bc77ff9e1e128ff48b9fbedc8fe5e",
  ],
  [
    32,
    "HmacSHA256",
    "",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/43aa6b1bc1d9ccec6ac27f5347187ff3:22dae07d97e23ff6f8507baca94d37060e1a102684d8120ad30b1beabbc6efba",
  ],
  [
    32,
    "HmacSHA256",
    "666",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/c2f1da77329d37739c765b0e68c1a464:47f80dfefac7a92fbd047c74c788d1e658248fb64bd31ba4888e9cbe717dd71c",
  ],
  [
    32,
    "HmacSHA256",
    '{"userId":"id 2","cart":[]}',
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/ab1142976bd3daa7a9be42228afc5468b009609fc043a8fbda7cf2f3ffb40562:382fc1df13666a230570dc53e84d37d16fee3cf848d11a8a5d591617f676275a",
  ],
  [
    32,
    "HmacSHA256",
    "a/b/c",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/9d89ff3664ce79121e752ee2df00d5ce:3b78faf5f58cbcb6351426f5c50161eae37602b7d9d2d6dfc826e4644826c135",
  ],
  [
    32,
    "HmacSHA256",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/a280056304fc33cc4f832f6dedf8f9b1816aa250a4acd4c9a2d535911ec12831:119511df7141802752af2a5ef649806663e6117ee951651519be3066aa75437c",
  ],
  [
    32,
    "HmacSHA512",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/a280056304fc33cc4f832f6dedf8f9b1816aa250a4acd4c9a2d535911ec12831:695d922b3a49074c27292eee2895b34bbd2dbc87413bd4497f9a6029795b2a3e97ef5fd876e5ce13736df1b48ab8842a369efc0605fd3aa2ae61952b20d38cef",
  ],
  [
    32,
    "HmacSHA1",
    "żółć 日本語 🧥",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/a280056304fc33cc4f832f6dedf8f9b1816aa250a4acd4c9a2d535911ec12831:cb002046970aad5e487d64c751bdb50dfccc6dd8",
  ],
  [
    32,
    "HmacSHA256",
    "cart=%23cl&userId=%23sid2",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/fe9fa6d579cac90674a32a2813cb6dc6e9b23585389960126dece214c1faa882:df0b2a5162016b4522ec9df0209575a59860d8db3f779fb61ccfdfca25657847",
  ],
  [
    32,
    "HmacSHA256",
    "xxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/86b0034ac1cbaf387fc917f9a0a0569c:a2fbed1523f4e6d4096a38230575b8de7acd3aaf058e6c82c42eac4d9d8e06c3",
  ],
  [
    32,
    "HmacSHA256",
    "xxxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/0112f6f25a3a5457c9a10f9dc4e1b4549ba9f223297478b805e1faf073c58424:ea9e97f05108dc3e2b55d32e3e1c7ef6281340bedca72500f5526275be114292",
  ],
  [
    32,
    "HmacSHA256",
    "xxxxxxxxxxxxxxxxx",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/0112f6f25a3a5457c9a10f9dc4e1b454cdbba0b5dd597e0b5c5472eff60f9136:370bec8b69abe9e7c7c213398e2392e671f6edc26b89c78e5d896d5d84cfaf16",
  ],
  [
    32,
    "HmacSHA256",
    '{"a":{"b":[1,2,{"c":null}]}}',
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0/fc7e79eae8c8f51f849c107b4f29217c7ac50fa8e9adcb18be8307d85f91e519:4e0c4d10aeea64aa399e26cd4e17c98bbdb8977dc7c68d5f17f9a5be4147b0da",
  ],
];

const keyOf = (length: number): Uint8Array => new Uint8Array(length).map((_, index) => (index * 7 + 1) % 256);
/** The text of a token is encrypted under its IV only once. */
const ivOf = (token: string): Uint8Array => fromHex(token.slice(0, 32)) as Uint8Array;

describe.each(ENGINES)("over %s", (_name, node) => {
  const encrypting = (options: KtorEncryptOptions, iv = IV): KtorProtection =>
    ktorEncryptWith({ node, random: () => fromHex(iv) as Uint8Array }, options);
  const has = (algorithm: KtorMac): boolean => node !== undefined || algorithm !== "HmacMD5";

  test.each(SIGNED.filter(([algorithm]) => has(algorithm)))(
    "sign: %s of %j, both ways",
    async (algorithm, text, mac) => {
      const signed = ktorSignWith(node, { key: MAC_KEY, algorithm });
      expect(await signed.write(text)).toBe(`${text}/${mac}`);
      expect(await signed.read(`${text}/${mac}`)).toBe(text);
    },
  );

  test.each(KTORS_OWN)("encrypt: Ktor's own vector of %s, both ways", async (text, token) => {
    const encrypted = encrypting({ encryptKey: EK, signKey: SK });
    expect(await encrypted.write(text)).toBe(token);
    expect(await encrypted.read(token)).toBe(text);
  });

  test.each(ENCRYPTED)("encrypt: a key of %i bytes, %s, %j, both ways", async (bytes, sign, text, token) => {
    const options = { encryptKey: keyOf(bytes), signKey: SK, algorithms: { sign } };
    const encrypted = encrypting(options, hex(ivOf(token)));
    expect(await encrypted.write(text)).toBe(token);
    expect(await encrypted.read(token)).toBe(text);
  });

  test("encrypt: the old layout is read when that is asked for, and only then; it is written anew in the new one", async () => {
    const options = { encryptKey: EK, signKey: SK };
    const lenient = encrypting({ ...options, backwardCompatibleRead: true });
    expect(await lenient.read(OLD_LAYOUT)).toBe("cart=%23cl&userId=%23sid2");
    expect(await encrypting(options).read(OLD_LAYOUT)).toBeNull();
    const other = encrypting({ encryptKey: keyOf(24), signKey: SK, backwardCompatibleRead: true });
    expect(await other.read(OLD_LAYOUT_192)).toBe("żółć 日本語 🧥");
    expect(await lenient.read(KTORS_OWN[0]![1])).toBe(KTORS_OWN[0]![0]);
    expect(await lenient.write(KTORS_OWN[1]![0])).toBe(KTORS_OWN[1]![1]);
  });

  test("encrypt: what is refused in the new layout is refused with the old one allowed", async () => {
    const lenient = encrypting({ encryptKey: EK, signKey: SK, backwardCompatibleRead: true });
    for (const token of damaged(OLD_LAYOUT)) expect(await lenient.read(token), token).toBeNull();
  });

  test("sign: every damaged token is null", async () => {
    const signed = ktorSignWith(node, { key: MAC_KEY });
    const token = await signed.write('{"userId":"id 2","cart":[]}');
    for (const wrong of [...damaged(token), ...foreign(token), DIGEST])
      expect(await signed.read(wrong), wrong).toBeNull();
  });

  test("encrypt: every damaged token is null, E5 to E8 among them", async () => {
    const encrypted = encrypting({ encryptKey: EK, signKey: SK });
    const token = KTORS_OWN[0]![1];
    const wrongs = [...damaged(token), ...foreign(token), "INVALID", "abc/abc:abc", DIGEST];
    for (const wrong of wrongs) expect(await encrypted.read(wrong), wrong).toBeNull();
  });

  test("encrypt: an IV or a ciphertext of another length is null, whatever the MAC says", async () => {
    const encrypted = encrypting({ encryptKey: EK, signKey: SK });
    const signed = ktorSignWith(node, { key: SK });
    for (const [iv, ciphertext] of [
      [IV, ""],
      [IV.slice(2), "00".repeat(16)],
      [`${IV}00`, "00".repeat(16)],
    ] as const) {
      const digits = (await signed.write("")).slice(1);
      const mac = ciphertext === "" ? digits : "00".repeat(32);
      expect(await encrypted.read(`${iv}/${ciphertext}:${mac}`)).toBeNull();
    }
  });

  test("another key or algorithm gives null", async () => {
    const token = await ktorSignWith(node, { key: MAC_KEY }).write("666");
    expect(await ktorSignWith(node, { key: `${MAC_KEY}00` }).read(token)).toBe("666"); // HMAC pads a key with zeros
    expect(await ktorSignWith(node, { key: `${MAC_KEY}01` }).read(token)).toBeNull();
    expect(await ktorSignWith(node, { key: MAC_KEY, algorithm: "HmacSHA1" }).read(token)).toBeNull();
    const [, encrypted] = KTORS_OWN[0]!;
    expect(await encrypting({ encryptKey: EK, signKey: `${SK}01` }).read(encrypted)).toBeNull();
    expect(
      await encrypting({ encryptKey: EK, signKey: SK, algorithms: { sign: "HmacSHA1" } }).read(encrypted),
    ).toBeNull();
    for (const encryptKey of [`${EK.slice(2)}00`, EK + EK.slice(16), EK + EK]) {
      expect(await encrypting({ encryptKey, signKey: SK }).read(encrypted)).not.toBe(KTORS_OWN[0]![0]);
    }
  });

  test("the known weakness of the format: who knows the first block can rewrite it, because the MAC leaves the IV out", async () => {
    const iv = "00112233445566778899aab3cc82eeff";
    const [text, token] = KTORS_OWN[0]!;
    const forged = iv + token.slice(iv.length);
    expect(await encrypting({ encryptKey: EK, signKey: SK }).read(forged)).toBe(text.replace("id2", "adm"));
  });

  test("a text that is not UTF-8 is null", async () => {
    const encrypted = encrypting({ encryptKey: EK, signKey: SK });
    const token = await encrypted.write("A".repeat(20));
    const broken = hex(fromHex(IV)!.map((byte, index) => (index === 3 ? byte ^ 0x80 : byte)));
    expect(await encrypted.read(broken + token.slice(32))).toBeNull();
  });

  test("100 000 strings that are none never throw", { timeout: 120_000 }, async () => {
    const signed = ktorSignWith(node, { key: MAC_KEY });
    const lenient = encrypting({ encryptKey: EK, signKey: SK, backwardCompatibleRead: true });
    const runs = node === undefined ? 5000 : 100_000;
    await fc.assert(
      fc.asyncProperty(tokens, async (text) => {
        expect(await signed.read(text)).toBeNull();
        expect(await lenient.read(text)).toBeNull();
      }),
      { numRuns: runs },
    );
  });

  test("property: every text comes back", async () => {
    const signed = ktorSignWith(node, { key: MAC_KEY });
    const encrypted = ktorEncryptWith(
      { node, random: (length) => crypto.getRandomValues(new Uint8Array(length)) },
      { encryptKey: keyOf(32), signKey: SK },
    );
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
        const wellFormed = new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8(text));
        expect(await signed.read(await signed.write(text))).toBe(text);
        expect(await encrypted.read(await encrypted.write(text))).toBe(wellFormed);
      }),
      { numRuns: 500 },
    );
  });
});

/** Texts that look like tokens, more or less. */
const tokens = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."0123456789abcdefABCDEF/:"), maxLength: 200 }),
  fc
    .tuple(
      fc.uint8Array({ minLength: 15, maxLength: 17 }),
      fc.uint8Array({ maxLength: 48 }),
      fc.uint8Array({ maxLength: 40 }),
    )
    .map(([iv, ciphertext, mac]) => `${hex(iv)}/${hex(ciphertext)}:${hex(mac)}`),
);

/** A token with every bit flipped (of an encrypted one: but those of the IV), every end cut off, every letter made capital. */
function* damaged(token: string): Generator<string> {
  const from = token.includes(":") && token.startsWith(IV) ? 33 : 0;
  const bytes = utf8(token);
  for (const flipped of bitFlips(bytes.subarray(from))) {
    yield token.slice(0, from) + String.fromCharCode(...flipped);
  }
  for (let length = 0; length < token.length; length++) yield token.slice(0, length);
  for (let start = 1; start < token.length; start++) yield token.slice(start);
  for (let at = from; at < token.length; at++) {
    const capital = token[at]!.toUpperCase();
    if (capital !== token[at]) yield token.slice(0, at) + capital + token.slice(at + 1);
  }
  yield `${token.slice(0, -1)}x`;
}

function* foreign(token: string): Generator<string> {
  yield* ["", "/", ":", "/:", "//::", "null", "🧥", "\u0000", "\uD800", "a".repeat(100_000), "/".repeat(10_000)];
  yield* [`${token}0`, `${token}/`, `/${token}x`, token + token, ` ${token} `, `${token}\n`, token.toUpperCase()];
}

describe("keys and options", () => {
  test("a key is bytes or hexadecimal digits, whole ones, at least one", async () => {
    const token = await ktorSign({ key: MAC_KEY }).write("1");
    expect(await ktorSign({ key: fromHex(MAC_KEY)! }).read(token)).toBe("1");
    for (const key of ["", "0", "0g", " 00", "ab cd", new Uint8Array(0), 7, null, undefined, [1, 2]]) {
      expect(() => ktorSign({ key: key as never })).toThrow(/^key must be a key/);
      expect(() => ktorEncrypt({ encryptKey: EK, signKey: key as never })).toThrow(/^signKey must be a key/);
      expect(() => ktorEncrypt({ encryptKey: key as never, signKey: SK })).toThrow(/^encryptKey must be a key/);
    }
  });

  test("an encryption key has 16, 24 or 32 bytes", () => {
    for (const length of [1, 15, 17, 23, 31, 33, 64]) {
      expect(() => ktorEncrypt({ encryptKey: keyOf(length), signKey: SK })).toThrow(TypeError);
    }
  });

  test("no message contains a key", () => {
    for (const key of [`${EK}zz`, EK.slice(1)]) {
      const message = messageOf(() => ktorEncrypt({ encryptKey: key, signKey: SK }));
      expect(message).not.toContain(EK.slice(2, 10));
    }
  });

  test("a key is copied: changing the bytes afterwards changes nothing", async () => {
    const key = keyOf(16);
    const signed = ktorSign({ key });
    const token = await signed.write("1");
    key.fill(0);
    expect(await signed.read(token)).toBe("1");
  });

  test("what is unknown is a TypeError: algorithms, ciphers, options", () => {
    expect(() => ktorSign({ key: EK, algorithm: "HmacSHA3" as never })).toThrow(/HmacSHA256, HmacSHA384/);
    expect(() => ktorSign({ key: EK, algorithm: "toString" as never })).toThrow(TypeError);
    expect(() => ktorSign({ key: EK, alg: "HmacSHA1" } as never)).toThrow(/alg is not an option/);
    expect(() => ktorSign(undefined as never)).toThrow(TypeError);
    const keys = { encryptKey: EK, signKey: SK };
    expect(() => ktorEncrypt({ ...keys, algorithms: { encrypt: "DESede" as never } })).toThrow(/must be "AES"/);
    expect(() => ktorEncrypt({ ...keys, algorithms: { sign: "None" as never } })).toThrow(TypeError);
    expect(() => ktorEncrypt({ ...keys, algorithms: { mac: 1 } as never })).toThrow(TypeError);
    expect(() => ktorEncrypt({ ...keys, backwardCompatibleRead: "yes" as never })).toThrow(/backwardCompatibleRead/);
  });

  test("a MAC that the platform does not have is a TypeError at the start", () => {
    expect(() => ktorSignWith(undefined, { key: EK, algorithm: "HmacMD5" })).toThrow(/no HmacMD5/);
    const without = {
      ...nodeCrypto!,
      createHmac: () => {
        throw new Error("unsupported");
      },
    };
    expect(() => ktorSignWith(without as never, { key: EK, algorithm: "HmacMD5" })).toThrow(/no HmacMD5/);
  });

  test("every text gets an IV of its own", async () => {
    const encrypted = ktorEncrypt({ encryptKey: EK, signKey: SK });
    const ivs = new Set<string>();
    for (let i = 0; i < 1000; i++) ivs.add((await encrypted.write("1")).slice(0, 32));
    expect(ivs.size).toBe(1000);
  });

  test("over node:crypto both answer at once", () => {
    for (const one of [ktorSign({ key: EK }), ktorEncrypt({ encryptKey: EK, signKey: SK })]) {
      expect(one.read(one.write("now") as string)).toBe("now");
    }
  });
});

// --- as protections -----------------------------------------------------------------------------------------------------

/** What the formats cannot: they know one key, and are bound to nothing. */
const NOT_OF_KTOR = [
  "refuses the token of another purpose, name or audience, in both directions",
  "serves several definitions at a time, each by itself",
  "refuses tokens of another key",
  "protects with the first key, opens with all, and says when a token should be made again",
  "follows a ring whose keys are replaced, and refuses a removed key at once",
];
/** What follows from the IV that is not authenticated. */
const NOT_OF_ENCRYPT = [
  "refuses every token with one character replaced, removed or added",
  "refuses the halves of two tokens put together",
];

describe.each([
  ["ktorSign", (): KtorProtection => ktorSign({ key: MAC_KEY }), NOT_OF_KTOR],
  [
    "ktorEncrypt",
    (): KtorProtection => ktorEncrypt({ encryptKey: EK, signKey: SK }),
    [...NOT_OF_KTOR, ...NOT_OF_ENCRYPT],
  ],
] as const)("%s as a protection", (kind, make, not) => {
  const left: readonly string[] = not;
  test.each(protectionCases.filter(({ name }) => !left.includes(name)))("$name", async ({ run }) => {
    await run(make);
  });

  test("the sentences that are left out are those of the kit", () => {
    const names = new Set(protectionCases.map(({ name }) => name));
    expect(left.filter((name) => !names.has(name))).toEqual([]);
  });

  test("protects sessions only: an idle clock is refused by name", () => {
    expect(() => make().bind(contextOf({ purpose: "idle" }))).toThrow(`${kind}() protects sessions only`);
    expect(() => make().bind(contextOf({ purpose: "idle" }))).toThrow("idleTimeout");
  });

  test("a token is the text of the codec in base64url", async () => {
    const protection = make();
    const token = await protection.bind(contextOf({ purpose: "session" })).protect("1");
    expect(await protection.read(Buffer.from(token, "base64url").toString())).toBe("1");
  });
});

test("a token of the old layout is outdated, and so made again", async () => {
  const encrypted = ktorEncrypt({ encryptKey: EK, signKey: SK, backwardCompatibleRead: true });
  const protector = encrypted.bind(contextOf({ purpose: "session" }));
  const token = Buffer.from(OLD_LAYOUT).toString("base64url");
  expect(await protector.unprotect(token)).toEqual({ text: "cart=%23cl&userId=%23sid2", outdated: true });
});

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return String(error);
  }
  return "";
}
