// Safety flags: icon and word, never colour alone; what applies to every regimen is said once.

import { icon, make } from "./element.js";

const key = ({ code, severity, status, text }) => JSON.stringify([code, severity, status, text]);
const open = ({ status }) => status === "unknown";

/** Split flags into those of every regimen and, by regimen, those of its own. A contraindication stays with each. */
export function splitFlags(regimens) {
  const common = (flag) => regimens.every((regimen) => regimen.flags.some((other) => key(other) === key(flag)));
  const shared = regimens.length > 1 ? regimens[0].flags.filter(common) : [];
  return { shared, own: regimens.map(({ flags }) => beyond(flags, shared)) };
}

/** Flags that are not among those said of every regimen; a contraindication always. */
export function beyond(flags, shared) {
  const keys = new Set(shared.map(key));
  const barred = (flag) => flag.severity === "contraindicated" && !open(flag);
  return flags.filter((flag) => barred(flag) || !keys.has(key(flag)));
}

/** Flags that apply, each opening to its source; then, folded, those that a missing input leaves open. */
export function flagList(flags, words, whose = "") {
  const applying = flags.filter((flag) => !open(flag));
  const unsettled = flags.filter(open);
  const parts = [];
  if (applying.length) parts.push(make("ul", { class: "flags" }, applying.map((flag) => entry(flag, words))));
  if (unsettled.length) {
    const count = unsettled.length === 1 ? "1 check is open" : `${unsettled.length} checks are open`;
    parts.push(
      make(
        "details",
        { class: "unsettled" },
        make("summary", {}, icon("unknown"), `${count}: an input is missing`, make("span", { class: "away" }, whose)),
        make("ul", { class: "flags" }, unsettled.map((flag) => entry(flag, words))),
      ),
    );
  }
  return parts;
}

function entry(flag, words) {
  const shape = open(flag) ? "unknown" : flag.severity;
  const word = open(flag) ? `Not known if: ${words[flag.severity].toLowerCase()}` : words[flag.severity];
  return make(
    "li",
    { class: `flag ${shape}` },
    make(
      "details",
      {},
      make("summary", {}, icon(shape), make("strong", {}, word), " ", flag.text),
      make("p", { class: "source" }, `Source: ${flag.source}`),
    ),
  );
}
