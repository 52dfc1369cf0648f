// The leaderboard: sorted, filtered, a page at a time.

import { durationText, element, labelled, numberText, selection, valueText } from "./dom.js";

const SIZES = [10, 25, 100];
const INACTIVE = "not active";
const HINT = "Mean over the folds or runs of a trial ± its standard error";

export class Table {
  constructor(onMark) {
    this.onMark = onMark;
    this.filters = [];
    this.sort = { key: "rank", isUp: true };
    this.page = 0;
    this.size = SIZES[0];
    this.trials = [];
    this.marked = null;
    this.filterBar = element("div", { class: "bar" });
    this.chips = element("div", { class: "chips" });
    this.body = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Leaderboard" });
    this.pager = element("div", { class: "bar" });
    this.root = element("div", { class: "leaderboard" }, this.filterBar, this.chips, this.body, this.pager);
  }

  // `search` is the page's copy of a search: objective, direction, parameters, trials.
  update(search) {
    const names = JSON.stringify([search.id, search.parameters]);
    const isOther = this.search && this.search.id !== search.id;
    this.search = search;
    if (isOther) {
      this.filters = [];
      this.page = 0;
    }
    this.trials = ranked(search);
    if (names !== this.names) this.drawFilterBar();
    this.names = names;
    this.draw();
  }

  mark(id) {
    this.marked = id;
    const place = this.shown().findIndex((trial) => trial.id === id);
    if (place >= 0) this.page = Math.floor(place / this.size);
    this.draw();
  }

  columns() {
    const columns = [
      { key: "rank", title: "#", of: (trial) => trial.rank, isNumber: true },
      { key: "id", title: "trial", of: (trial) => trial.number, show: (trial) => trial.id },
      { key: "score", title: this.search.objective, of: (trial) => trial.score, show: scoreText, isNumber: true, hint: HINT },
      ...this.search.tasks.map((name, index) => ({
        key: `task ${name}`,
        title: `${this.search.objective} of ${name}`,
        of: (trial) => trial.tasks[index] ?? null,
        isNumber: true,
      })),
      { key: "status", title: "status", of: (trial) => trial.status, show: statusText },
      { key: "epochs", title: "epochs", of: (trial) => trial.epochs, isNumber: true },
      {
        key: "seconds",
        title: "time",
        of: (trial) => trial.seconds,
        show: (trial) => durationText(trial.seconds),
        isNumber: true,
      },
    ];
    this.search.parameters.forEach((name, index) => {
      const of = (trial) => trial.values[index] ?? null;
      const isNumber = this.trials.every((trial) => of(trial) === null || typeof of(trial) === "number");
      columns.push({ key: `value ${name}`, title: name, of, isNumber, isValue: true });
    });
    return columns;
  }

  shown() {
    const column = this.columns().find((one) => one.key === this.sort.key);
    const trials = this.trials.filter((trial) => this.filters.every((filter) => filter.keeps(trial)));
    return column ? trials.sort((a, b) => compare(column.of(a), column.of(b), this.sort.isUp)) : trials;
  }

  draw() {
    const columns = this.columns();
    const trials = this.shown();
    const numPages = Math.max(1, Math.ceil(trials.length / this.size));
    this.page = Math.min(this.page, numPages - 1);
    const focused = this.focusedKey();
    const rows = trials.slice(this.page * this.size, (this.page + 1) * this.size).map((trial) => this.row(trial, columns));
    const head = element("tr", {}, ...columns.map((column) => this.headCell(column)));
    this.body.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
    const turn = (step) => () => {
      this.page += step;
      this.draw();
    };
    const resize = (size) => {
      this.page = 0;
      this.size = Number(size);
      this.draw();
    };
    const sizes = SIZES.map(String);
    const rowsShown = selection("Rows", sizes, String(this.size), resize);
    rowsShown.dataset.key = "rows";
    this.pager.hidden = this.trials.length <= SIZES[0];
    this.pager.replaceChildren(
      labelled("Rows", rowsShown),
      pageButton("Previous", this.page > 0, turn(-1)),
      pageButton("Next", this.page < numPages - 1, turn(1)),
      element("span", {}, `page ${this.page + 1} of ${numPages}, ${trials.length} of ${this.trials.length} trials`),
    );
    if (focused) [...this.root.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused)?.focus();
  }

  focusedKey() {
    return this.root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  }

  headCell(column) {
    const isSorted = column.key === this.sort.key;
    const order = isSorted ? (this.sort.isUp ? "ascending" : "descending") : "none";
    const onclick = () => {
      const isScore = column.key === "score" || column.key.startsWith("task ");
      const bestFirst = !isScore || this.search.direction === "min";
      this.sort = { key: column.key, isUp: isSorted ? !this.sort.isUp : bestFirst };
      this.page = 0;
      this.draw();
    };
    const arrow = isSorted ? (this.sort.isUp ? " ↑" : " ↓") : "";
    const properties = { type: "button", "data-key": `sort ${column.key}`, title: column.hint, onclick };
    const button = element("button", properties, column.title + arrow);
    return element("th", { scope: "col", "aria-sort": order, class: column.isNumber ? "number" : "" }, button);
  }

  row(trial, columns) {
    const onMark = () => this.onMark(trial.id === this.marked ? null : trial.id);
    const onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      onMark();
    };
    const properties = {
      tabindex: "0",
      "data-key": `trial ${trial.id}`,
      "data-trial": trial.id,
      "aria-selected": trial.id === this.marked ? "true" : "false",
      onclick: onMark,
      onkeydown,
    };
    return element("tr", properties, ...columns.map((column) => cell(trial, column)));
  }

  drawFilterBar() {
    const columns = this.columns().filter((column) => column.isValue || column.key === "status" || column.key === "score");
    const controls = element("span", { class: "bar" });
    const pick = (key) => {
      const column = columns.find((one) => one.key === key);
      controls.replaceChildren(...(column ? this.filterControls(column) : []));
    };
    const options = [["", "choose ..."], ...columns.map((column) => [column.key, column.title])];
    this.filterBar.replaceChildren(labelled("Filter by", selection("Filter by", options, "", pick)), controls);
    this.drawChips();
  }

  filterControls(column) {
    const values = this.trials.map(column.of);
    const isNumber = values.every((value) => value === null || typeof value === "number");
    const kinds = [...new Map(values.map((value) => [valueText(value), value])).keys()];
    if (isNumber && kinds.length > 8) return this.rangeControls(column);
    const options = kinds.sort().map((text) => [text, text === "" ? INACTIVE : text]);
    const control = selection("Value", [["\0", "choose ..."], ...options], "\0", (text) => {
      const name = `${column.title} = ${text === "" ? INACTIVE : text}`;
      this.addFilter({ name, keeps: (trial) => valueText(column.of(trial)) === text });
    });
    return [control];
  }

  rangeControls(column) {
    const low = element("input", { type: "number", step: "any", "aria-label": "At least", placeholder: "at least" });
    const high = element("input", { type: "number", step: "any", "aria-label": "At most", placeholder: "at most" });
    const onclick = () => {
      const [least, most] = [low, high].map((one) => (one.value === "" ? null : Number(one.value)));
      if (least === null && most === null) return;
      const name = [least === null ? "" : `${least} ≤ `, column.title, most === null ? "" : ` ≤ ${most}`].join("");
      const keeps = (trial) => {
        const value = column.of(trial);
        return value !== null && (least === null || value >= least) && (most === null || value <= most);
      };
      this.addFilter({ name, keeps });
    };
    return [low, high, element("button", { type: "button", onclick }, "Add filter")];
  }

  addFilter(filter) {
    this.filters.push(filter);
    this.page = 0;
    this.drawFilterBar();
    this.draw();
  }

  drawChips() {
    const chip = (filter) => {
      const onclick = () => {
        this.filters = this.filters.filter((one) => one !== filter);
        this.drawChips();
        this.draw();
      };
      return element("button", { type: "button", "aria-label": `Remove filter ${filter.name}`, onclick }, `${filter.name} ✕`);
    };
    this.chips.replaceChildren(...this.filters.map(chip));
  }
}

// Disabled for the reader only: what has the focus keeps it.
function pageButton(title, isEnabled, onclick) {
  const properties = { type: "button", "data-key": title, "aria-disabled": String(!isEnabled), onclick: isEnabled ? onclick : () => {} };
  return element("button", properties, title);
}

function ranked(search) {
  const sign = search.direction === "max" ? -1 : 1;
  const isScored = (trial) => trial.status === "COMPLETED" && trial.score !== null;
  const best = search.trials.filter(isScored).sort((a, b) => sign * (a.score - b.score) || a.number - b.number);
  const ranks = new Map(best.map((trial, index) => [trial.id, index + 1]));
  return search.trials.map((trial) => ({ ...trial, rank: ranks.get(trial.id) ?? null }));
}

// What is missing stands last, whichever way the column is sorted.
function compare(a, b, isUp) {
  const isMissing = [a, b].map((one) => one === null || one === undefined);
  if (isMissing[0] || isMissing[1]) return isMissing[0] - isMissing[1];
  const order =
    typeof a === "number" && typeof b === "number" ? a - b : valueText(a).localeCompare(valueText(b));
  return isUp ? order : -order;
}

function cell(trial, column) {
  const value = column.of(trial);
  const kind = column.isNumber ? "number" : "";
  if (column.isValue && value === null) return element("td", { class: `quiet ${kind}` }, "–");
  const text = column.show ? column.show(trial) : numberText(value);
  const properties = { class: kind, "data-column": column.key };
  if (typeof value === "number" && column.key !== "id") properties["data-value"] = value;
  if (column.key === "status") properties["data-status"] = trial.status;
  if (text.length > 40) properties.title = text;
  return element("td", properties, text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

// A score, to the digits that its error leaves.
function scoreText(trial) {
  if (trial.score === null) return "";
  if (!trial.error) return Math.abs(trial.score) < 1e5 ? trial.score.toPrecision(4) : numberText(trial.score);
  const digits = 1 - Math.floor(Math.log10(trial.error));
  if (digits > 8 || digits < 0) return `${numberText(trial.score)} ± ${numberText(trial.error)}`;
  return `${trial.score.toFixed(digits)} ± ${trial.error.toFixed(digits)}`;
}

function statusText(trial) {
  const retries = trial.attempt > 1 ? ` (attempt ${trial.attempt})` : "";
  const reason = trial.status === "COMPLETED" || !trial.message ? "" : `: ${trial.message}`;
  return trial.status.toLowerCase() + retries + reason;
}
