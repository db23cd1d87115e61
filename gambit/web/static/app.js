// Brings it together: login, stream, views, keys. One drawing per frame, whatever comes in.
import { Account, welcome } from "./account.js";
import { Actions } from "./actions.js";
import * as answers from "./answers.js";
import { Api, ApiError } from "./api.js";
import * as banner from "./banner.js";
import * as charts from "./charts.js";
import * as desk from "./desk.js";
import { tell, toast } from "./dialog.js";
import { $, setText } from "./dom.js";
import * as feeds from "./feeds.js";
import * as funnel from "./funnel.js";
import * as holdings from "./holdings.js";
import { may, model, take } from "./model.js";
import * as opportunities from "./opportunities.js";
import * as quotes from "./quotes.js";
import * as scorecard from "./scorecard.js";
import { Stream } from "./stream.js";

const VIEWS = {
  "arb.signals": [opportunities.render],
  "system.metrics": [feeds.render, charts.render],
  "order.status": [desk.render],
  "plan.status": [desk.render],
  account: [holdings.render, funnel.render],
  "market.normalized": [quotes.render],
  "alert.raised": [feeds.renderAlerts],
};
const PANELS = ["p-opportunities", "p-quotes", "p-plans", "p-orders", "p-account", "p-charts", "p-feeds", "p-alerts", "p-funnel"];
const KEYS = [
  ["h", "Halt all trading"],
  ["r", "Only reduce exposure"],
  ["a", "Resume trading"],
  ["/", "Filter by symbol or venue"],
  ["1 – 9", "Go to a panel"],
  ["t", "Dark or light"],
  ["?", "This list"],
  ["Esc", "Close, or empty the filter"],
];

const due = new Set();
let isDrawing = false;

function draw(...views) {
  for (const view of views) due.add(view);
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    const now = [...due];
    due.clear();
    for (const view of now) view();
  });
}

const stream = new Stream({
  message: (message) => draw(banner.render, answers.render, ...(VIEWS[take(message)] ?? [])),
  welcome: (welcome) => {
    model.user = welcome;
    document.documentElement.dataset.user = welcome.role;
    $("p-opportunities").hidden = !welcome.channels.includes("arb.signals");
    charts.follow(api);
    scorecard.follow(api, welcome.channels.includes("arb.signals"));
    setText($("who"), `${welcome.user} · ${welcome.role}`);
    show("desk");
    draw(...everything());
  },
  link: (link) => {
    model.link = link;
    draw(banner.renderLink, banner.render, answers.render);
  },
  unauthorised: () => api.renew().catch(() => {}),
});

const api = new Api(
  (token) => stream.use(token),
  () => {
    stream.stop();
    location.reload(); // nothing of who was here stays behind
  },
);
const actions = new Actions(api, () => account.tried(() => account.setUp()));
const account = new Account(api, (work) => actions.fresh(work));

function everything() {
  return [banner.render, banner.renderLink, answers.render, ...new Set(Object.values(VIEWS).flat())];
}

function show(name) {
  $("login").hidden = name !== "login";
  $("desk").hidden = name !== "desk";
  if (name === "login") $("login-form").elements.email.focus();
}

async function begin() {
  theme(localStorage.getItem("gambit.theme"));
  banner.mount();
  answers.mount();
  if (matchMedia("(max-width: 720px)").matches) $("figures").after($("filterbar")); // the banner stays in sight, and small
  opportunities.mount();
  quotes.mount();
  feeds.mount(actions);
  funnel.mount();
  holdings.mount();
  desk.mount(actions);
  scorecard.mount();
  charts.mount().then(() => draw(charts.render));
  setInterval(() => draw(banner.render, banner.renderLink, answers.render, opportunities.render, quotes.render, desk.render), 1000);
  const words = new URLSearchParams(location.hash.slice(1));
  const wantsHalt = words.has("halt");
  history.replaceState(null, "", location.pathname);
  if (words.get("invite")) {
    show("login");
    $("login-form").elements.email.value = await welcome(api, words.get("invite"));
    $("login-form").elements.password.focus();
    toast("Your password is set. Log in with it.", "good");
    return;
  }
  try {
    if (words.get("ticket")) await api.ticket(words.get("ticket"));
    else if (api.mayRenew) await api.renew();
    else show("login");
  } catch (error) {
    show("login");
    setText($("login-error"), words.get("ticket") ? error.message : "");
    if (!(error instanceof ApiError)) setText($("login-error"), "The daemon cannot be reached. Is it running?");
  }
  if (wantsHalt && api.token) actions.state("halt");
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  const isDark = name ? name === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.querySelector("meta[name=theme-color]").content = isDark ? "#0c1015" : "#f4f6f8";
  document.dispatchEvent(new Event("themechange"));
  draw(charts.render);
}

function toggleTheme() {
  const isDark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
  const name = isDark ? "light" : "dark";
  localStorage.setItem("gambit.theme", name);
  theme(name);
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  setText($("login-error"), "");
  button.disabled = true;
  try {
    await api.login(form.elements.email.value, form.elements.password.value, form.elements.code.value);
    form.reset();
    $("login-code").hidden = true;
  } catch (error) {
    if (error.code === "second_factor") {
      $("login-code").hidden = false;
      form.elements.code.focus();
    }
    setText($("login-error"), error instanceof ApiError ? error.message : "The daemon cannot be reached. Is it running?");
  } finally {
    button.disabled = false;
  }
});

for (const verb of ["halt", "reduce", "resume"]) $(verb).addEventListener("click", () => actions.state(verb));
$("halt-thumb").addEventListener("click", () => actions.state("halt"));
$("theme").addEventListener("click", toggleTheme);
$("help").addEventListener("click", () => tell({ title: "Keyboard", rows: KEYS, isKeys: true }));
$("who").addEventListener("click", () => account.tried(() => account.show()));
$("filter").addEventListener("input", (event) => {
  opportunities.filter(event.target.value.toLowerCase().split(/\s+/).filter(Boolean));
  draw(opportunities.render, quotes.render, feeds.render, desk.render, holdings.render);
});

addEventListener("keydown", (event) => {
  if ($("desk").hidden || $("dialog").open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && document.activeElement === $("filter")) {
    $("filter").value = "";
    $("filter").dispatchEvent(new Event("input"));
    $("filter").blur();
    return;
  }
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "")) return;
  const verbs = { h: ["halt", "trader"], r: ["reduce", "trader"], a: ["resume", "admin"] };
  const verb = verbs[event.key];
  if (verb && may(verb[1]) && !$(verb[0]).disabled) actions.state(verb[0]);
  else if (event.key === "/") $("filter").focus();
  else if (event.key === "?") tell({ title: "Keyboard", rows: KEYS, isKeys: true });
  else if (event.key === "t") toggleTheme();
  else if (/^[1-9]$/.test(event.key)) $(PANELS[event.key - 1]).focus();
  else return;
  event.preventDefault();
});

begin();
