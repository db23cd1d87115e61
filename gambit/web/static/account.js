// One's own second factor and sessions, and for an admin the people: who is let in, and letting somebody in.
import { ApiError } from "./api.js";
import { ask, close, open, tell, toast } from "./dialog.js";
import { h } from "./dom.js";
import { clock } from "./format.js";
import { model } from "./model.js";

const ROLES = ["viewer", "trader", "admin"];

export class Account {
  // `fresh(work)` does something once more after a fresh login where the daemon wants one; null: it was called off.
  constructor(api, fresh) {
    this.api = api;
    this.fresh = fresh;
  }

  async show() {
    const [me, sessions] = await Promise.all([this.api.call("GET", "/auth/me"), this.api.call("GET", "/auth/sessions")]);
    const rows = sessions.items.map((one) =>
      h(
        "li",
        {},
        h("span", {}, `${client(one.label)} from ${one.address || "here"}, since ${clock(new Date(one.opened_ns / 1e6).toISOString())}`),
        one.is_this
          ? h("span", { class: "chip good" }, "this one")
          : h("button", { type: "button", class: "small", onclick: () => this.done(() => this.api.call("DELETE", `/auth/sessions/${one.session_id}`), "Session ended") }, "End"),
      ),
    );
    const actions = [
      ...(model.user.role === "admin" ? [{ label: "People", run: () => this.tried(() => this.people()) }] : []),
      me.second_factor
        ? { label: "Remove second factor", run: () => this.done(() => this.api.call("DELETE", "/auth/totp"), "No second factor any more") }
        : { label: "Set up second factor", run: () => this.tried(() => this.setUp()) },
      { label: "Log out", tone: "primary", run: () => this.api.logout().catch((error) => toast(error.message, "bad")) },
    ];
    tell({
      title: me.email,
      rows: [
        ["Role", me.role],
        ["Second factor", me.second_factor ? "on" : "off: needed to resume and to arm"],
      ],
      body: [h("h3", {}, "Sessions"), h("ul", { class: "lines" }, rows)],
      actions,
    });
  }

  // A new secret, shown, and the first code of it.
  async setUp() {
    const offer = await this.fresh(() => this.api.call("POST", "/auth/totp"));
    const secret = new URL(offer.otpauth).searchParams.get("secret");
    const shown = await ask({
      title: "Second factor",
      text: [
        "Add this key to an authenticator (time-based, six digits), then enter the code that it shows.",
        h("code", { class: "key-text" }, secret.match(/.{1,4}/g).join(" ")),
        h("a", { href: offer.otpauth }, "or open it in an authenticator on this device"),
      ],
      confirm: "Turn it on",
      fields: [{ name: "code", label: "Code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 6, required: true, pattern: "[0-9]{6}" }],
    });
    if (!shown) return;
    await this.api.call("POST", "/auth/totp/confirm", { code: shown.code });
    toast("Second factor on. The next code works for whatever asks for one.", "good");
  }

  async people() {
    const { items } = await this.api.call("GET", "/admin/users");
    const rows = items.map((one) =>
      h(
        "li",
        {},
        h("span", {}, h("b", {}, one.email), ` ${one.role}${one.second_factor ? ", second factor" : ""}${one.sessions ? `, ${one.sessions} logged in` : ""}`),
        one.is_invited ? h("span", { class: "chip warn" }, "invited") : one.status === "active" ? null : h("span", { class: "chip bad" }, "not let in"),
        h("button", { type: "button", class: "small", title: "A new link to choose a password by", onclick: () => this.tried(() => this.invite({ email: one.email })) }, "New link"),
        this.letIn(one),
      ),
    );
    tell({
      title: "People",
      body: [h("ul", { class: "lines" }, rows)],
      actions: [{ label: "Invite somebody", tone: "primary", run: () => this.tried(() => this.inviteSomebody()) }],
    });
  }

  letIn(one) {
    const status = one.status === "active" ? "suspended" : "active";
    const change = () => this.api.call("PATCH", `/admin/users/${one.user_id}`, { status });
    const label = status === "active" ? "Let in" : "Shut out";
    return h("button", { type: "button", class: "small", onclick: () => this.done(change, `${one.email}: ${label.toLowerCase()}`) }, label);
  }

  async inviteSomebody() {
    const said = await ask({
      title: "Invite somebody",
      text: "They choose their own password, by a link that works once within a day.",
      confirm: "Make the link",
      fields: [
        { name: "email", label: "E-mail, the name they log in with", required: true, maxlength: 254 },
        { name: "role", label: "Role: what they may", options: ROLES },
      ],
    });
    if (said) await this.invite(said);
  }

  async invite(body) {
    const made = await this.fresh(() => this.api.call("POST", "/admin/invitations", body));
    const link = `${location.origin}/#invite=${made.code}`;
    const field = h("input", { value: link, readonly: true, "aria-label": "Link", onclick: (event) => event.target.select() });
    tell({
      title: `A link for ${made.email}`,
      body: [h("p", {}, `Send it to them by a way you trust: it is shown this once, works once and for a day. Role: ${made.role}.`), field],
      actions: [{ label: "Copy", tone: "primary", run: () => navigator.clipboard?.writeText(link).then(() => toast("Copied", "good"), () => toast("Copy it by hand", "bad")) }],
    });
  }

  async done(work, text) {
    close();
    await this.tried(async () => {
      await this.fresh(work);
      toast(text, "good");
    });
  }

  async tried(work) {
    try {
      await work();
    } catch (error) {
      if (error !== null) toast(error instanceof ApiError ? error.message : "The daemon cannot be reached.", "bad");
    }
  }
}

// What a browser calls itself, in a word or two.
function client(label) {
  const browser = ["Edg", "OPR", "Firefox", "Chrome", "Safari"].find((name) => label.includes(`${name}/`));
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"].find((name) => label.includes(name));
  if (!browser) return label.slice(0, 40) || "A program";
  return `${{ Edg: "Edge", OPR: "Opera" }[browser] ?? browser}${system ? ` on ${system}` : ""}`;
}

// Somebody who was invited chooses a password; resolves to their e-mail.
export function welcome(api, code) {
  return new Promise((resolve) => {
    const problem = h("p", { class: "bad", role: "alert" });
    const field = (name, label) => h("label", {}, label, h("input", { name, type: "password", autocomplete: "new-password", required: true, minlength: 12, maxlength: 1024 }));
    const form = h(
      "form",
      { id: "welcome" },
      h("h2", { id: "dialog-title" }, "Welcome to gambit"),
      h("p", {}, "Choose a password of twelve characters or more. This link works once."),
      field("password", "Password"),
      field("again", "The same once more"),
      problem,
      h("div", { class: "acts" }, h("button", { class: "primary" }, "Choose it")),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { password, again } = Object.fromEntries(new FormData(form));
      if (password !== again) {
        problem.textContent = "These two are not the same.";
        return;
      }
      try {
        const told = await api.send("POST", "/auth/accept", { code, password });
        close();
        resolve(told.email);
      } catch (error) {
        problem.textContent = error instanceof ApiError ? error.message : "The daemon cannot be reached. Is it running?";
      }
    });
    open(form);
  });
}
