// What a person may do from here; the daemon decides whether they may.
import { money } from "./answers.js";
import { ApiError } from "./api.js";
import { fixed } from "./decimal.js";
import { ask, tell, toast } from "./dialog.js";
import { h } from "./dom.js";
import { may, model } from "./model.js";

const STATES = {
  halt: {
    title: "Halt all trading?",
    text: "Nothing new leaves, and open orders are cancelled. It holds over restarts, until somebody resumes.",
    confirm: "HALT now",
    tone: "danger",
    done: "HALTED",
  },
  reduce: {
    title: "Only reduce exposure?",
    text: "No new plan starts; what lowers exposure goes on.",
    confirm: "Reduce",
    tone: "warning",
    done: "REDUCING",
  },
  resume: {
    title: "Resume trading?",
    text: "New plans may start again. This needs a fresh login with a second factor.",
    confirm: "Resume",
    tone: "primary",
    done: "ACTIVE",
  },
};

export class Actions {
  // `setUp` sets up a second factor.
  constructor(api, setUp) {
    this.api = api;
    this.setUp = setUp;
  }

  async state(verb) {
    const words = STATES[verb];
    const mode = `This daemon trades ${money()}.`;
    const fields = [{ name: "reason", label: "Reason", value: verb === "halt" ? "halted from the dashboard" : "", maxlength: 500 }];
    const said = await ask({ ...words, text: [words.text, mode], fields });
    if (!said) return;
    const work = () => this.api.act("POST", `/control/${verb}`, { reason: said.reason });
    work.wantsSecondFactor = verb === "resume";
    await this.carry(work, `Trading state: ${words.done}`);
  }

  async approve(plan) {
    const text = `${plan.symbol}, ${(plan.venues ?? []).join(" → ")}: ${fixed(plan.total_quote_amount, 2)} notional, expected ${fixed(plan.expected_profit, 2)}.`;
    const said = await ask({ title: "Approve this plan?", text, confirm: "Approve" });
    if (said) await this.carry(() => this.api.act("POST", `/plans/${encodeURIComponent(plan.plan_id)}/approve`), "Plan approved");
  }

  async reject(plan) {
    await this.carry(() => this.api.act("POST", `/plans/${encodeURIComponent(plan.plan_id)}/reject`), "Plan rejected");
  }

  async cancel(order) {
    const text = `${order.side} ${order.qty} ${order.symbol} on ${order.venue}.`;
    const said = await ask({ title: "Cancel this order?", text, confirm: "Cancel the order", tone: "warning" });
    if (said) await this.carry(() => this.api.act("DELETE", `/orders/${encodeURIComponent(order.order_id)}`), "Cancel asked for");
  }

  // What is known of an alert, and what can be done about it.
  alert(row, isOpen) {
    const path = `/alerts/${encodeURIComponent(row.alert_id)}`;
    const rows = [
      ["Rule", row.rule_id],
      ["Severity", row.severity],
      ["About", row.scope || "the daemon as a whole"],
      ["Since", new Date(row.created_ns ? row.created_ns / 1e6 : row.ts).toLocaleString([], { hour12: false })],
      ["Is", isOpen ? (row.acked_by ? `raised; ${row.acked_by} is on it` : "raised") : "over"],
      ["What to do", h("a", { href: `/runbook/${encodeURIComponent(row.rule_id)}`, target: "_blank", rel: "noopener" }, "the runbook's page")],
    ];
    const silence = { rule_id: row.rule_id, scope: row.scope ?? "", for_sec: 3600, reason: "silenced from the dashboard" };
    const actions = [
      { label: "I take it", tone: "primary", run: () => this.carry(() => this.api.act("POST", `${path}/ack`), "Everybody sees that you are on it") },
      { label: "Silence for an hour", run: () => this.carry(() => this.api.act("POST", "/silences", silence), "Nobody is told of it for an hour") },
    ];
    tell({ title: row.message ?? row.rule_id, rows, actions: isOpen && may("trader") ? actions : [] });
  }

  // Does it, once more after a fresh login where the daemon wants one; says what came of it.
  async carry(work, done) {
    try {
      await this.fresh(work);
      toast(done, "good");
    } catch (error) {
      if (error?.code === "second_factor") await this.wantSecondFactor();
      else if (error !== null) toast(error.message || "the daemon cannot be reached", "bad");
    }
  }

  async wantSecondFactor() {
    const email = model.user.user;
    tell({
      title: "This needs a second factor",
      body: [
        h("p", {}, "Set one up now: an authenticator on your phone, and a code of it with each login."),
        h("p", {}, "Or, on the daemon's machine, open a new link, which counts as one for five minutes: ", h("code", {}, `gambit user link ${email}`)),
      ],
      actions: [{ label: "Set one up", tone: "primary", run: this.setUp }],
    });
  }

  // Gives what the work gives; throws null when it was called off.
  async fresh(work) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "reauth") throw error;
      const { second_factor: hasSecondFactor } = await this.api.call("GET", "/auth/me");
      if (work.wantsSecondFactor && !hasSecondFactor) throw new ApiError(403, { code: "second_factor" });
      const fields = [
        { name: "password", label: "Password", type: "password", required: true, autocomplete: "current-password" },
        ...(hasSecondFactor
          ? [{ name: "code", label: "Code of the second factor", inputmode: "numeric", maxlength: 6, autocomplete: "one-time-code", required: true }]
          : []),
      ];
      const shown = await ask({ title: "Once more, who are you?", text: "This needs a login of the last five minutes.", confirm: "Go on", fields });
      if (!shown) throw null;
      await this.api.again(shown.password, shown.code);
      return await work();
    }
  }
}
