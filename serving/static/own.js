// The board's own estimate, entered before the model's is seen, so that the one does not lean on the other.

import { make } from "./element.js";
import { RegimenPicker } from "./picker.js";
import { lower } from "./terms.js";

/**
 * Ask for the board's own estimate of one regimen, and only then for the answer: sent with the question, it stands
 * before the answer in the record of the service.
 * @param {object} options `regimens`: those that are compared, with labels; `planned`: one of them, or undefined, and
 *   then the board chooses; `send` asks for the answer, given an estimate or null
 * @returns {Promise<{answer: object, board: ?{regimen: object, probability: number}}>} `board` is null when it passes
 */
export function askOwn(place, { regimens, planned, terms, send }) {
  const only = planned ?? (regimens.length === 1 ? regimens[0] : null);
  // None is suggested: the first of the alphabet is not the one that a board thinks of.
  const picker = only ? null : new RegimenPicker("Regimen", "own-regimen", regimens, -1, () => number.focus(), "Choose a regimen");
  const number = make("input", { class: "box", id: "own-number", type: "number", inputmode: "numeric", min: 0, max: 100, step: 1, form: "", "aria-describedby": "own-note" });
  const note = make("p", { class: "note error", id: "own-note", role: "alert", hidden: true });
  const tell = (text) => {
    note.hidden = false;
    note.textContent = text;
  };
  return new Promise((done, failed) => {
    let sending = false;
    const show = async (board) => {
      if (sending) return;
      sending = true;
      const estimate = board && { regimen: terms.asked(board.regimen), outcome: terms.primary.name, probability: board.probability };
      try {
        done({ answer: await send(estimate), board });
      } catch (error) {
        // What is wrong with the patient is said beside the form, and what waiting may mend is said here.
        if (![429, 503].includes(error.status)) failed(error);
        else tell(`${estimate ? "The estimate was not recorded. " : ""}${error.message}`);
      } finally {
        sending = false;
      }
    };
    const record = () => {
      const regimen = only ?? regimens[picker.chosen];
      if (!regimen) tell("Choose the regimen that the estimate is of.");
      else if (number.value === "" || !number.validity.valid) tell("Enter a whole number from 0 to 100.");
      else show({ regimen, probability: Number(number.value) / 100 });
    };
    number.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), record()));
    place.replaceChildren(
      make(
        "section",
        { class: "card own", "aria-labelledby": "own-title" },
        make("h3", { id: "own-title" }, "First, the board's own estimate"),
        picker?.element ?? null,
        make("label", { for: "own-number" }, `Of 100 patients like this started on ${only ? only.label : "this regimen"}, how many have ${lower(terms.primary.label)} within ${terms.window}?`),
        make("div", { class: "own-entry" }, number, make("button", { type: "button", onclick: record }, "Record, then show"), make("button", { type: "button", class: "quiet", onclick: () => show(null) }, "Show without")),
        note,
        make("p", { class: "hint" }, "It is kept with this prediction in the record of the service and changes no number."),
      ),
    );
    (picker?.select ?? number).focus();
  });
}
