// The page: asks the service for an answer, and shows it or what was wrong.

import { AnswerView } from "./answer.js";
import { make } from "./element.js";
import { PatientForm } from "./patient.js";
import { RegimenChoice } from "./regimens.js";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const form = byId("ask");
const patient = new PatientForm(form, data.fields);
const regimens = new RegimenChoice(byId("compare"), data.cycles);
const view = new AnswerView(data);
let asking = null;

function tally() {
  const entered = Object.keys(patient.values()).length;
  const chosen = regimens.values().length;
  byId("tally").textContent = `${entered} of ${data.fields.length} entered · ${chosen} regimen${chosen === 1 ? "" : "s"}`;
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

/** The service's errors, with a patient's field by its own name. */
function fromService(errors) {
  return errors.map(({ field, message }) => ({ field: field.replace(/^patient\./, ""), message }));
}

function showAnswer(answer, values) {
  const shown = view.show(answer, { values, isPlanned: (regimen) => regimens.isPlanned(regimen) });
  byId("answer").replaceChildren(...shown);
  byId("answer").hidden = false;
  byId("answer").classList.remove("stale");
  byId("empty").hidden = true;
  byId("print").hidden = false;
  const kind = answer.model.simulated ? "simulated" : answer.model.trained_on.kind;
  byId("basis").dataset.kind = kind;
  byId("basis-title").textContent = data.text.bases[kind].title;
  byId("basis-text").textContent = data.text.bases[kind].text;
  const count = answer.regimens.length;
  announce(`Estimates for ${count} regimen${count === 1 ? "" : "s"} are shown.`);
  byId("results").focus({ preventScroll: true }); // which would bring the middle of a long answer into sight
  byId("results").scrollIntoView({ block: "start" });
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
  const token = byId("token").value;
  const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const body = JSON.stringify({ patient: patient.values(), regimens: regimens.values(), profile: byId("profile").value });
  const values = patient.entered();
  byId("estimate").setAttribute("aria-busy", "true");
  announce("Estimating.");
  try {
    const response = await fetch("predict", { method: "POST", headers, body, signal });
    const content = await response.json();
    if (response.ok) showAnswer(content, values);
    else refused(response.status, content.errors ?? []);
  } catch (error) {
    if (error.name !== "AbortError") showProblems([{ field: "", message: "The service did not answer. Try again in a moment." }]);
  } finally {
    if (asking.signal === signal) byId("estimate").removeAttribute("aria-busy");
  }
}

function refused(status, errors) {
  announce("");
  byId("token-row").hidden = status !== 401 && byId("token-row").hidden;
  if (status === 401) byId("token").focus();
  const problems = fromService(errors);
  showProblems(problems.length ? problems : [{ field: "", message: `The service refused the request (${status}).` }]);
}

/** An answer that no longer belongs to what is entered must not be read as if it did. */
function changed(event) {
  if (event.target === byId("token")) return;
  tally();
  const answer = byId("answer");
  if (answer.hidden || answer.classList.contains("stale")) return;
  answer.classList.add("stale");
  answer.prepend(make("p", { class: "changed" }, "The inputs were changed since. Press Estimate again."));
  announce("The inputs were changed since the estimates were made.");
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
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("#answer details.entered, #answer details.assumed, #answer details.provenance"))
    part.open = true;
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
tally();
