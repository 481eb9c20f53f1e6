// The help dialog: keys, what the numbers are, and what is shown.

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

const UNIT = ": on 0..1, because the published scales differ; deviations likewise";
const NUMBERS = [
  "The bar is the score on 0..1, ± the standard deviation between raters.",
  "Images without a score come last. Among the images of a prompt, the highest is framed.",
].join(" ");

function helpOf(table, pictures) {
  const keys = KEYS.map(([key, does]) => [
    el(
      "dt",
      {},
      key.split(" ").map((one) => el("kbd", {}, one)),
    ),
    el("dd", {}, does),
  ]);
  const scales = table.dimensions.map(({ name, published }) =>
    el("li", {}, el("b", {}, name), published ? ": as published" : UNIT),
  );
  const maps = table.models.flatMap((model) =>
    Object.entries(model.by).map(([name, one]) =>
      el("li", {}, el("b", {}, `${model.name}, ${name}: `), explained(one)),
    ),
  );
  const databases = table.databases.map(({ id, title, license, synthetic }) =>
    el(
      "li",
      {},
      el("b", {}, title),
      title === id ? "" : ` (${id})`,
      license ? `, licence ${license}` : "",
      synthetic ? ", synthetic" : "",
    ),
  );
  return [
    el(
      "header",
      {},
      el("h2", { id: "help-name" }, "Keys and numbers"),
      el(
        "button",
        { type: "button", class: "plain", "aria-label": "Close (Esc)", on: { click: () => $("help").close() } },
        "×",
      ),
    ),
    el(
      "div",
      { class: "body" },
      el("dl", { class: "keys" }, keys),
      el("h3", {}, "Scores"),
      el("p", {}, NUMBERS),
      el("ul", {}, scales),
      maps.length ? [el("h3", {}, "Prediction errors"), el("ul", {}, maps)] : [],
      el("h3", {}, "Databases"),
      el("ul", {}, databases),
      el(
        "p",
        { class: "hint" },
        pictures.linked
          ? "Images are linked: keep this page where it is, seen from the data folder."
          : `Images are carried in this page, at most ${pictures.told.side} pixels a side.`,
      ),
    ),
  ];
}

const explained = (one) =>
  ({
    logistic: `|prediction after a logistic fit to ${plural(one.n, "image")} − score|`,
    z:
      `|z-scored prediction − z-scored score|, in units of the scores, over ${plural(one.n, "image")}; ` +
      `no logistic fit: ${one.why}`,
    none: `cannot be compared: ${one.why}`,
  })[one.map];
