// Keys, and the page that says which there are.

const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
const KEYS = [
  ["← → ↑ ↓", "move between images; in the detail view ← and →"],
  ["Home End", "first and last image"],
  ["Enter", "open the image"],
  ["Esc", "close; leave the search"],
  ["/", "search in prompts"],
  ["g", "grid"],
  ["p", "prompts by generator"],
  ["f", "filters"],
  ["t", "light, dark, as the system"],
  ["?", "this help"],
];

class Keyboard {
  constructor(gallery) {
    this.gallery = gallery;
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  pressed(event) {
    const { gallery } = this;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const writing = event.target.matches("input, select, textarea");
    if (event.key === "Escape") return this.escape(writing, event.target);
    if (writing) return;
    const act = {
      "/": () => $("search").select(),
      "?": () => gallery.help(),
      g: () => gallery.change({ view: "grid" }),
      p: () => gallery.change({ view: "prompts" }),
      f: () => gallery.panel(true),
      t: () => gallery.theme.next(),
    }[event.key];
    if (act) {
      event.preventDefault();
      act();
    } else if (MOVES.includes(event.key) && !event.shiftKey && event.target.closest("body, main") && !event.target.closest("aside, header")) {
      event.preventDefault();
      gallery.point(event.key);
    } else if (event.key === "Enter" && event.target.matches("body, main") && gallery.cursor >= 0) {
      gallery.open(gallery.cursor);
    }
  }

  escape(writing, target) {
    if (document.body.classList.contains("filtering")) this.gallery.panel(false);
    else if (writing) target.blur();
  }
}

/** What the help dialog says: keys, what the numbers are, and what is shown. */
function helpOf(table, pictures) {
  const keys = KEYS.map(([key, does]) => [el("dt", {}, key.split(" ").map((one) => el("kbd", {}, one))), el("dd", {}, does)]);
  const scales = table.dimensions.map(({ name, published }) => el("li", {}, el("b", {}, name), published ? ": as published" : ": on 0..1, because the published scales differ; deviations likewise"));
  const maps = table.models.flatMap((model) =>
    Object.entries(model.by).map(([name, one]) => el("li", {}, el("b", {}, `${model.name}, ${name}: `), explained(one))),
  );
  const databases = table.databases.map(({ id, title, license, synthetic }) =>
    el("li", {}, el("b", {}, title), title === id ? "" : ` (${id})`, license ? `, licence ${license}` : "", synthetic ? ", synthetic" : ""),
  );
  return [
    el("header", {}, el("h2", { id: "help-name" }, "Keys and numbers"), el("button", { type: "button", class: "plain", "aria-label": "Close (Esc)", on: { click: () => $("help").close() } }, "×")),
    el("div", { class: "body" }, el("dl", { class: "keys" }, keys),
      el("h3", {}, "Scores"),
      el("p", {}, "The bar is the score on 0..1, ± the standard deviation between raters. Images without a score come last."),
      el("ul", {}, scales),
      maps.length ? [el("h3", {}, "Prediction errors"), el("ul", {}, maps)] : [],
      el("h3", {}, "Databases"), el("ul", {}, databases),
      el("p", { class: "hint" }, pictures.linked ? "Images are linked: keep this page where it is, seen from the data folder." : `Images are carried in this page, at most ${pictures.told.side} pixels a side.`)),
  ];
}

const explained = (one) =>
  ({
    logistic: `|prediction after a logistic fit to ${plural(one.n, "image")} − score|`,
    z: `|z-scored prediction − z-scored score|, in units of the scores, over ${plural(one.n, "image")}; no logistic fit: ${one.why}`,
    none: `cannot be compared: ${one.why}`,
  })[one.map];
