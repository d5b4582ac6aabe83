// Debian version order (deb-version(7)): [epoch:]upstream[-revision], digits by value, "~" before the end of the string.

/** Negative, zero or positive, as `left` is older than, equal to or newer than `right`. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [split(left), split(right)];
  return (
    compareNumbers(a.epoch, b.epoch) || compareParts(a.upstream, b.upstream) || compareParts(a.revision, b.revision)
  );
}

function split(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? "0" : version.slice(0, colon),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

/** Runs of non-digits and of digits in turn. */
function compareParts(left: string, right: string): number {
  const [a, b] = [left.match(/\d+|\D+/g) ?? [], right.match(/\d+|\D+/g) ?? []];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const textLeft = isDigits(a[i]) ? "" : (a[i++] ?? "");
    const textRight = isDigits(b[j]) ? "" : (b[j++] ?? "");
    const byText = compareText(textLeft, textRight);
    if (byText !== 0) return byText;
    const byNumber = compareNumbers(isDigits(a[i]) ? a[i++]! : "0", isDigits(b[j]) ? b[j++]! : "0");
    if (byNumber !== 0) return byNumber;
  }
  return 0;
}

function compareText(left: string, right: string): number {
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = rank(left[i]) - rank(right[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Tilde, then the end, then letters, then everything else. */
function rank(character: string | undefined): number {
  if (character === "~") return -1;
  if (character === undefined) return 0;
  return character.charCodeAt(0) + (/[A-Za-z]/.test(character) ? 0 : 256);
}

/** Decimal strings of any length. */
function compareNumbers(left: string, right: string): number {
  const [a, b] = [left.replace(/^0+/, ""), right.replace(/^0+/, "")];
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

function isDigits(part: string | undefined): boolean {
  return part !== undefined && /^\d/.test(part);
}
