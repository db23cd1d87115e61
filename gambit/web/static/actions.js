// What a person may do from here; the daemon decides whether they may.
import { ApiError } from "./api.js";
import { fixed } from "./decimal.js";
import { ask, toast } from "./dialog.js";
import { model } from "./model.js";

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
  constructor(api) {
    this.api = api;
  }

  async state(verb) {
    const words = STATES[verb];
    const mode = model.trading?.mode === "live" ? "Mode is LIVE." : "Mode is PAPER.";
    const fields = [{ name: "reason", label: "Reason", value: verb === "halt" ? "halted from the dashboard" : "", maxlength: 500 }];
    const said = await ask({ ...words, text: [words.text, mode], fields });
    if (said) await this.carry(() => this.api.act("POST", `/control/${verb}`, { reason: said.reason }), `Trading state: ${words.done}`);
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

  // Does it, once more after a fresh login where the daemon wants one; says what came of it.
  async carry(work, done) {
    try {
      await this.tried(work);
      toast(done, "good");
    } catch (error) {
      if (error !== null) toast(error.message || "the daemon cannot be reached", "bad");
    }
  }

  async tried(work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "reauth") throw error;
      const fields = [
        { name: "password", label: "Password", type: "password", required: true, autocomplete: "current-password" },
        { name: "code", label: "Code of the second factor, if you have one", inputmode: "numeric", maxlength: 6, autocomplete: "one-time-code" },
      ];
      const shown = await ask({ title: "Once more, who are you?", text: "This needs a login of the last minutes.", confirm: "Go on", fields });
      if (!shown) throw null;
      await this.api.again(shown.password, shown.code);
      await work();
    }
  }
}
