// Links to a comparison: regimens, who planned what, and the view; nothing of the patient has a place in them.

const MARK = "compare";
const VIEW = "view";

/** Write the part of an address behind the `#`. */
export function writeLink({ regimens, planned, profile }, cycles, view = null) {
  const chosen = regimens.map((regimen) => [regimen.backbone, regimen.biologic, regimen[cycles]].join("."));
  const parts = { [MARK]: chosen.join("+"), planned: planned.replace(" ", "."), profile, [VIEW]: view };
  const written = Object.entries(parts).filter(([, value]) => value);
  return `#${written.map(([name, value]) => `${name}=${value}`).join("&")}`;
}

/** Read it again; null when it is no such link. What it names is checked against the page by whoever uses it. */
export function readLink(hash, cycles) {
  const parts = new Map(hash.slice(1).split("&").map((part) => part.split("=", 2)));
  if (!parts.has(MARK)) return null;
  const named = (parts.get(MARK) ?? "").split("+").filter(Boolean);
  const regimens = named.map((each) => {
    const [backbone, biologic, count] = each.split(".");
    return { backbone, biologic, [cycles]: Number(count) };
  });
  return { regimens, planned: (parts.get("planned") ?? "").replace(".", " "), profile: parts.get("profile"), view: parts.get(VIEW) ?? null };
}
