/** A wrong Node goes unnoticed otherwise: with `--ignore-scripts` npm runs the scripts on the machine's own. */
export default function requireNode24(): void {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 24) {
    throw new Error(
      `The tests need the Node 24 that \`npm ci\` installs, and this is ${process.version}: run them by \`npm test\`, after an \`npm ci\` without --ignore-scripts.`,
    );
  }
}
