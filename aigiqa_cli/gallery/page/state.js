// What is looked at, and how; as text in the address, so that a view can be shared and gone back to.

const FACETS = ["database", "generator", "setting", "split", "task", "flags"];
const VIEWS = ["grid", "prompts"];
const SIZE = 200; // pixels: width of a card

const blank = () => ({
  view: "grid",
  text: "",
  picks: {},
  ranges: {},
  sort: "index",
  order: "asc",
  size: SIZE,
  image: -1,
});

/** Every key that images can be sorted by: name -> { label, group, values }. The larger comes first by default. */
function sortings(table) {
  const found = new Map([["index", { label: "Index order", group: "", values: null }]]);
  for (const one of table.dimensions) {
    found.set(`score:${one.name}`, { label: `${one.name} score`, group: "Score", values: one.value });
  }
  for (const one of table.dimensions.filter((dimension) => dimension.deviates)) {
    found.set(`std:${one.name}`, { label: `${one.name}: disagreement (std)`, group: "Deviation", values: one.std });
  }
  table.models.forEach((model, number) => {
    for (const [name, one] of Object.entries(model.by)) {
      const label = `${model.name}: error in ${name}`;
      if (one.map !== "none")
        found.set(`error:${name}:${number}`, { label, group: "Prediction error", values: one.error });
    }
  });
  return found;
}

function toHash(state, table) {
  const words = new URLSearchParams();
  const base = blank();
  for (const name of ["view", "sort", "order", "size"]) {
    if (state[name] !== base[name]) words.set(name, state[name]);
  }
  if (state.text) words.set("text", state.text);
  for (const facet of FACETS) {
    for (const value of state.picks[facet] ?? []) words.append(facet, value);
  }
  for (const [name, [low, high]] of Object.entries(state.ranges)) words.set(name, `${low}..${high}`);
  if (state.image >= 0) words.set("image", table.key(state.image));
  return words.size ? `#${words}` : "";
}

/** The state that an address says; what does not fit this page is left out. */
function fromHash(hash, table) {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const state = blank();
  if (VIEWS.includes(words.get("view"))) state.view = words.get("view");
  if (sortings(table).has(words.get("sort"))) state.sort = words.get("sort");
  if (words.get("order") === "desc") state.order = "desc";
  const size = Number(words.get("size"));
  if (words.has("size") && Number.isFinite(size)) state.size = clamp(Math.round(size), 120, 480);
  state.text = words.get("text") ?? "";
  for (const facet of FACETS) {
    const known = new Set(facetOf(table, facet).values);
    const picked = words.getAll(facet).filter((value) => known.has(value));
    if (picked.length) state.picks[facet] = new Set(picked);
  }
  for (const { name } of table.dimensions) {
    const [low, high] = (words.get(name) ?? "").split("..").map((part) => (part.trim() ? Number(part) : NaN));
    if (low <= high) state.ranges[name] = [low, high];
  }
  if (words.has("image")) state.image = table.find(words.get("image"));
  return state;
}
