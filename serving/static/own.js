// The board's own estimate, entered before the model's is seen, so that the one does not lean on the other.

import { make } from "./element.js";
import { lower } from "./terms.js";

/**
 * Ask for the board's own estimate of one regimen, and only then for the answer: sent with the question, it stands
 * before the answer in the record of the service.
 * @param {{send: (estimate: ?object) => Promise<object>}} options `send` asks for the answer
 * @returns {Promise<{answer: object, board: ?number}>} `board` is null when the board passes
 */
export function askOwn(place, { regimen, terms, send }) {
  const number = make("input", { class: "box", id: "own-number", type: "number", inputmode: "numeric", min: 0, max: 100, step: 1, form: "", "aria-describedby": "own-note" });
  const note = make("p", { class: "note error", id: "own-note", hidden: true });
  const tell = (text) => {
    note.hidden = false;
    note.textContent = text;
  };
  return new Promise((done, failed) => {
    let sending = false;
    const show = async (board) => {
      if (sending) return;
      sending = true;
      const estimate = board === null ? null : { regimen: terms.asked(regimen), outcome: terms.primary.name, probability: board };
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
      if (number.value === "" || !number.validity.valid) tell("Enter a whole number from 0 to 100.");
      else show(Number(number.value) / 100);
    };
    number.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), record()));
    place.replaceChildren(
      make(
        "section",
        { class: "card own", "aria-labelledby": "own-title" },
        make("h3", { id: "own-title" }, "First, the board's own estimate"),
        make("label", { for: "own-number" }, `Of 100 patients like this started on ${regimen.label}, how many have ${lower(terms.primary.label)} within ${terms.window}?`),
        make("div", { class: "own-entry" }, number, make("button", { type: "button", onclick: record }, "Record, then show"), make("button", { type: "button", class: "quiet", onclick: () => show(null) }, "Show without")),
        note,
        make("p", { class: "hint" }, "It is kept with this prediction in the record of the service and changes no number."),
      ),
    );
    number.focus();
  });
}
