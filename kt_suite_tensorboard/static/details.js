// All that is stored of one trial.

import { durationText, element, numberText, valueText } from "./dom.js";

const SHOWN_ELSEWHERE = ["trial_id", "number", "values", "used", "metrics", "message", "runs", "score", "score_std"];
const NO_TIDINGS = { attempt: 1, initial_epoch: 0, data_share: 1, fidelity: 1 };

// `stored` holds the fields of a trial, and its runs.
export function details(stored) {
  const used = stored.used ?? Object.keys(stored.values ?? {});
  const values = used.filter((name) => name in (stored.values ?? {})).map((name) => [name, stored.values[name]]);
  const others = Object.entries(stored)
    .filter(([name, value]) => !SHOWN_ELSEWHERE.includes(name) && value !== null && NO_TIDINGS[name] !== value)
    .map(([name, value]) => [name.replaceAll("_", " "), readable(name, value)]);
  const metrics = Object.entries(stored.metrics ?? {}).map(([name, value]) => [name, numberText(value)]);
  return [
    element(
      "div",
      { class: "columns" },
      block("Hyperparameters", pairs(values)),
      block("Metrics at the scored epoch", pairs(metrics)),
      block("Trial", pairs(others)),
      (stored.runs ?? []).length > 1 ? block("Runs", runs(stored)) : null,
    ),
    stored.message ? element("pre", { tabindex: "0", "aria-label": "Why it failed" }, stored.message) : null,
  ].filter((one) => one !== null);
}

function readable(name, value) {
  if (name === "started" || name === "ended") return new Date(1000 * value).toLocaleString();
  if (name === "best_epoch") return value + 1; // stored from 0, shown from 1 as in the curves
  return name === "status" ? value.toLowerCase() : value;
}

function block(title, content) {
  return content === null ? null : element("div", { class: "block" }, element("h4", {}, title), content);
}

function pairs(entries) {
  if (entries.length === 0) return null;
  const row = ([name, value]) => [element("dt", {}, name), element("dd", {}, valueText(value))];
  return element("dl", {}, ...entries.flatMap(row));
}

function runs(stored) {
  const columns = ["task", "fold", "repeat"].filter((name) => new Set(stored.runs.map((run) => run[name])).size > 1);
  const head = [...(columns.length > 0 ? columns : ["run"]), "score", "best epoch", "time"];
  const rows = stored.runs.map((run) =>
    element(
      "tr",
      {},
      ...(columns.length > 0 ? columns.map((name) => valueText(run[name])) : [run.index]).map((text) => element("td", {}, text)),
      element("td", { class: "number" }, numberText(run.score)),
      element("td", { class: "number" }, run.best_epoch === null ? "" : run.best_epoch + 1),
      element("td", { class: "number" }, durationText(run.seconds)),
    ),
  );
  const heads = head.map((name) => element("th", { scope: "col" }, name));
  return element(
    "div",
    { class: "scroll" },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)),
  );
}
