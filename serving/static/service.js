// Talks to the service; what it refuses comes back as an error that carries the service's own words.

/** What the service refused: its status, and what is said of each field. */
export class Refused extends Error {
  constructor(status, errors) {
    super(errors.map(({ message }) => message).join(" ") || `The service refused the request (${status}).`);
    this.status = status;
    this.errors = errors;
  }
}

export class Service {
  /** @param {() => string} token what is entered as token, or an empty text */
  constructor(token) {
    this.token = token;
  }

  /** Send a document and return the answer. A patient travels in the body alone, never in an address. */
  post(address, body, signal) {
    return this.#ask(address, { method: "POST", body: JSON.stringify(body), signal });
  }

  /** Return a document. */
  get(address) {
    return this.#ask(address, {});
  }

  async #ask(address, options) {
    const token = this.token();
    const headers = {
      ...(options.body ? { "content-type": "application/json" } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    };
    const response = await fetch(address, { ...options, headers });
    if (response.ok) return response.status === 204 ? null : response.json();
    const content = await response.json();
    throw new Refused(response.status, content.errors ?? []);
  }
}
