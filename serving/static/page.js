// The page: asks the service for an answer, and shows it or what was wrong.

import { AnswerView, inOrder } from "./answer.js";
import { make } from "./element.js";
import { readLink, writeLink } from "./link.js";
import { showModel } from "./model.js";
import { askOwn } from "./own.js";
import { PatientForm } from "./patient.js";
import { RegimenChoice } from "./regimens.js";
import { Refused, Service } from "./service.js";
import { Terms } from "./terms.js";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const form = byId("ask");
const terms = new Terms(data);
const patient = new PatientForm(form, data.fields);
const regimens = new RegimenChoice(byId("compare"), data.cycles);
const service = new Service(() => byId("token").value);
const view = new AnswerView(terms, service);
let asking = null;
let card = null;
let start = null; // the view that a link asks for

function tally() {
  const entered = Object.keys(patient.values()).length;
  const chosen = regimens.values().length;
  byId("tally").textContent = `${entered} of ${data.fields.length} entered · ${chosen} regimen${chosen === 1 ? "" : "s"}`;
  byId("link").href = writeLink(regimens.choice(), data.cycles, view.current);
}

function announce(text) {
  byId("status").textContent = text;
}

/** Say above the form what is wrong, each entry leading to its field, and beside the fields too. */
function showProblems(problems) {
  const summary = byId("errors");
  summary.hidden = !problems.length;
  if (!problems.length) return;
  for (const { field, message, slip } of problems) if (patient.control(field)) patient.tell(field, "error", message, slip);
  const chosen = problems.filter(({ field }) => field.split(".")[0] === "regimens");
  regimens.tell(chosen.map(({ message }) => message).join(" "));
  const target = (field) => (patient.control(field) ? `f-${field}` : "compare");
  const entry = ({ field, message }) =>
    make("li", {}, patient.control(field) || chosen.some((each) => each.field === field) ? make("a", { href: `#${target(field)}` }, message) : message);
  const title = problems.length === 1 ? "One thing to correct" : `${problems.length} things to correct`;
  summary.replaceChildren(make("h3", {}, title), make("ul", {}, problems.map(entry)));
  summary.focus();
}

/** What the model that answered tells of itself: another may have taken its place since the page was opened. */
async function cardOf({ version }) {
  if (card && card.version !== version) card = await service.get("model").catch(() => card);
  return card?.version === version ? card : null;
}

function showAnswer(answer, about) {
  const answered = byId("answer");
  answered.replaceChildren(...view.show(answer, { ...about, start: start ?? view.current }));
  start = null;
  answered.classList.remove("stale");
  reveal();
  byId("print").hidden = false;
  showModel(answer.model, about.card, terms);
  const count = answer.regimens.length;
  announce(`Estimates for ${count} regimen${count === 1 ? "" : "s"} are shown.`);
  byId("results").focus({ preventScroll: true }); // which would bring the middle of a long answer into sight
  byId("results").scrollIntoView({ block: "start" });
}

function reveal() {
  byId("answer").hidden = false;
  byId("empty").hidden = true;
}

async function ask() {
  patient.refresh();
  regimens.refresh();
  const mine = patient.problems();
  const choice = regimens.problem();
  if (choice) mine.push({ field: "regimens", message: choice });
  showProblems(mine);
  if (mine.length) return;

  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const asked = { patient: patient.values(), regimens: regimens.values(), profile: byId("profile").value };
  const { planned } = regimens.choice();
  const isPlanned = ({ backbone, biologic }) => planned === `${backbone} ${biologic}`;
  const about = { asked, values: patient.entered(), catalogue: regimens.every(), isPlanned, board: null };
  byId("estimate").setAttribute("aria-busy", "true");
  announce("Estimating.");
  try {
    const send = (estimate) => service.post("predict", estimate ? { ...asked, estimate } : asked, signal);
    let answer;
    if (byId("own").checked) {
      byId("estimate").removeAttribute("aria-busy");
      byId("answer").classList.remove("stale");
      reveal();
      announce("Enter the board's own estimate first.");
      const compared = inOrder(regimens.labelled(), isPlanned);
      ({ answer, board: about.board } = await askOwn(byId("answer"), { regimens: compared, planned: compared.find(isPlanned), terms, send }));
    } else answer = await send(null);
    about.card = await cardOf(answer.model);
    if (!signal.aborted) showAnswer(answer, about);
  } catch (error) {
    if (error instanceof Refused) refused(error);
    else if (error.name !== "AbortError") showProblems([{ field: "", message: "The service did not answer. Try again in a moment." }]);
  } finally {
    if (asking.signal === signal) byId("estimate").removeAttribute("aria-busy");
  }
}

function refused({ status, errors, message }) {
  announce("");
  byId("token-row").hidden = status !== 401 && byId("token-row").hidden;
  if (status === 401) byId("token").focus();
  // A patient's field by its own name.
  const problems = errors.map((each) => ({ field: each.field.replace(/^patient\./, ""), message: each.message }));
  showProblems(problems.length ? problems : [{ field: "", message }]);
}

/** An answer that no longer belongs to what is entered must not be read as if it did. */
function changed({ target }) {
  if (target === byId("token") || target === byId("own") || byId("results").contains(target)) return;
  tally();
  const answer = byId("answer");
  if (answer.hidden || answer.classList.contains("stale")) return;
  answer.classList.add("stale");
  answer.prepend(make("p", { class: "changed" }, "The inputs were changed since. Press Estimate again."));
  announce("The inputs were changed since the estimates were made.");
}

/** Take over the regimens of a link; what the page does not know is left out, and said. */
function follow(hash) {
  const link = readLink(hash, data.cycles);
  if (!link) return;
  const unknown = regimens.choose(link);
  start = link.view;
  tally();
  if (unknown) regimens.tell(`The link names ${unknown} regimen${unknown === 1 ? "" : "s"} that this service does not know.`);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
form.addEventListener("change", changed);
form.addEventListener("reset", () => {
  asking?.abort();
  // The controls have their first values only after this event.
  setTimeout(() => {
    for (const control of form.querySelectorAll("input.box:disabled")) control.disabled = false;
    patient.refresh();
    regimens.refresh();
    showProblems([]);
    tally();
    byId("answer").replaceChildren();
    byId("answer").hidden = true;
    byId("empty").hidden = false;
    byId("print").hidden = true;
    announce("The form was cleared.");
  });
});
byId("print").addEventListener("click", () => window.print());
byId("link").addEventListener("click", (event) => {
  event.preventDefault();
  byId("link").href = writeLink(regimens.choice(), data.cycles, view.current);
  history.replaceState(null, "", byId("link").href);
  // Only a secure page may write to the clipboard; the address bar holds the link in any case.
  navigator.clipboard?.writeText(byId("link").href).catch(() => {});
  byId("link-note").textContent = "The link is in the address bar and copied where the browser allows it. It names regimens only.";
});
window.addEventListener("hashchange", () => follow(location.hash));
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("#answer details.entered, #answer details.assumed")) part.open = true;
});
// A link to a field inside a folded group opens it.
document.addEventListener("click", (event) => {
  const target = event.target.closest?.("a[href^='#f-']");
  const place = target && byId(target.hash.slice(1));
  if (!place) return;
  place.closest("details").open = true;
  setTimeout(() => place.focus());
});
// A small screen starts with the first group alone, so that the regimens are within reach.
if (window.matchMedia("(max-width: 700px)").matches)
  [...form.querySelectorAll("details.group")].slice(1).forEach((group) => (group.open = false));
follow(location.hash);
tally();
// What the model tells of itself; the page works without it.
service.get("model").then(
  (told) => {
    card = told;
    byId("own-row").hidden = !told.features?.estimates;
  },
  () => {},
);
