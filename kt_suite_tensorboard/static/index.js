// What TensorBoard calls, in a frame of its own.

import { element } from "./dom.js";
import { Page } from "./page.js";

async function fetched(path, parameters) {
  const response = await fetch(`${path}?${new URLSearchParams(parameters)}`);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.json();
}

const source = {
  isLive: true,
  searches: () => fetched("searches", []),
  search: (key, after) => fetched("search", { search: key, after }),
  trial: (key, id) => fetched("trial", { search: key, id }),
  figure: (keys, view, options) =>
    fetched("figure", [["view", view], ...keys.map((key) => ["search", key]), ...Object.entries(options)]),
  plotly: () =>
    new Promise((resolve, reject) => {
      document.head.append(element("script", { src: "plotly.min.js", onload: resolve, onerror: () => reject(new Error("Plotly does not load")) }));
    }),
};

export function render() {
  document.documentElement.lang = "en";
  document.head.append(
    element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    element("link", { rel: "stylesheet", href: "style.css" }),
  );
  const page = new Page(document.body, source);
  followTheme(page);
  followReload(page);
  page.start();
}

// TensorBoard's own theme, which is a class of the page around this one.
function followTheme(page) {
  const outer = window.parent.document.body;
  const follow = () => {
    document.documentElement.dataset.theme = outer.classList.contains("dark-mode") ? "dark" : "light";
    page.redraw();
  };
  new MutationObserver(follow).observe(outer, { attributes: true, attributeFilter: ["class"] });
  follow();
}

// TensorBoard's reload button. The channel is called experimental there: polling does not depend on it.
function followReload(page) {
  const channel = new MessageChannel();
  channel.port1.onmessage = (event) => {
    if (String(event.data).includes("experimental.DataReloaded")) page.update();
  };
  window.parent.postMessage("experimental.bootstrap", "*", [channel.port2]);
}
