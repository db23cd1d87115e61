// REST, and the tokens: the access token lives in this page's memory only, the refresh token in a cookie that no script
// can read.

const CSRF = { "X-Gambit-CSRF": "1" }; // no foreign page can send it
const MARK = "gambit.session";

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.errors?.[0]?.text ?? body?.detail ?? `the daemon answered ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
  }
}

export class Api {
  constructor(onToken, onLoggedOut) {
    this.token = null;
    this.expiresAt = 0;
    this.onToken = onToken;
    this.onLoggedOut = onLoggedOut;
    this.timer = 0;
  }

  // Whether this browser was logged in before, so that renewing is worth a try.
  get mayRenew() {
    return localStorage.getItem(MARK) !== null;
  }

  async login(email, password, code) {
    this.take(await this.send("POST", "/auth/login", { email, password, ...(code ? { code } : {}), cookie: true }));
  }

  async ticket(ticket) {
    this.take(await this.send("POST", "/auth/ticket", { ticket, cookie: true }));
  }

  async again(password, code) {
    this.take(await this.call("POST", "/auth/reauthenticate", { password, ...(code ? { code } : {}) }));
  }

  // The next tokens; tabs take turns, for a refresh token works once.
  async renew() {
    const renewal = async () => this.take(await this.send("POST", "/auth/refresh", {}));
    try {
      await (navigator.locks ? navigator.locks.request("gambit-refresh", renewal) : renewal());
    } catch (error) {
      if (error instanceof ApiError && error.status < 500 && error.status !== 409) this.forget();
      throw error;
    }
  }

  async logout() {
    try {
      await this.call("POST", "/auth/logout");
    } finally {
      this.forget();
    }
  }

  forget() {
    clearTimeout(this.timer);
    this.token = null;
    localStorage.removeItem(MARK);
    this.onLoggedOut();
  }

  take(tokens) {
    this.token = tokens.access_token;
    this.expiresAt = Date.now() + tokens.expires_in * 1000;
    localStorage.setItem(MARK, "1");
    clearTimeout(this.timer);
    const lead = Math.min(90, tokens.expires_in / 3);
    this.timer = setTimeout(() => this.renew().catch(() => {}), (tokens.expires_in - lead) * 1000);
    this.onToken(this.token);
  }

  // A request in the name of who is logged in.
  async call(method, path, body, headers = {}) {
    if (Date.now() > this.expiresAt - 5000) await this.renew();
    return this.send(method, path, body, { Authorization: `Bearer ${this.token}`, ...headers });
  }

  // Something that has an effect: repeated by accident it has it once.
  act(method, path, body) {
    return this.call(method, path, body, { "Idempotency-Key": crypto.randomUUID() });
  }

  async send(method, path, body, headers = {}) {
    const options = { method, headers: { ...CSRF, ...headers }, cache: "no-store", credentials: "same-origin" };
    if (body !== undefined) {
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    const answer = await fetch(path, options);
    const text = await answer.text();
    const found = text && /json/.test(answer.headers.get("Content-Type") ?? "") ? JSON.parse(text) : null;
    if (!answer.ok) throw new ApiError(answer.status, found);
    return found;
  }
}
