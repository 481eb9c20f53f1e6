// The grid: one card an image, as many in a row as fit.

const GAP = 14;
const NARROW = 198; // pixels of a card: below that bars leave their room to the numbers

/** A line for each dimension: name, bar from 0 to 1, number, deviation. `numbers(dimension)`: { value, std, unit }. */
function scoreLines(table, numbers) {
  return table.dimensions.map((dimension) => {
    const { value, std, unit } = numbers(dimension);
    const missing = Number.isNaN(value);
    const bar = el("i", { class: "bar" });
    bar.style.setProperty("--unit", missing || Number.isNaN(unit) ? 0 : clamp(unit, 0, 1));
    const spread = Number.isNaN(std) ? "" : ` ±${fixed(std, dimension.digits)}`;
    return el(
      "span",
      { class: missing ? "score without" : "score" },
      el("span", { class: "dimension" }, dimension.name),
      bar,
      el("span", { class: "number" }, missing ? "no score" : fixed(value, dimension.digits), el("small", {}, spread)),
    );
  });
}

const numbersOf = (row) => (dimension) => ({
  value: dimension.value[row],
  std: dimension.std[row],
  unit: dimension.unit[row],
});

/** What a model says of a row: its error in one dimension, or that it says nothing. */
function modelLine(table, state, row) {
  if (!table.models.length) return null;
  const [kind, name, number] = state.sort.split(":");
  const model = table.models[kind === "error" ? Number(number) : 0];
  const dimension = table.dimension(kind === "error" ? name : table.dimensions[0]?.name);
  const one = model.by[dimension?.name];
  const says = Number.isNaN(model.raw[row])
    ? "no prediction"
    : one && !Number.isNaN(one.error[row])
      ? `error ${fixed(one.error[row], dimension.digits)}`
      : `predicts ${model.raw[row].toPrecision(4)}`;
  const without = Number.isNaN(model.raw[row]) ? "score without" : "score";
  return el(
    "span",
    { class: `${without} model` },
    el("span", { class: "dimension" }, model.name),
    el("span", { class: "number" }, says),
  );
}

class Grid {
  constructor(gallery) {
    this.gallery = gallery;
    this.order = [];
  }

  show(order) {
    const { canvas, rows, state } = this.gallery;
    this.order = order;
    this.places = null;
    canvas.className = "grid";
    canvas.setAttribute("role", "list");
    for (const name of ["aria-rowcount", "aria-colcount", "aria-label"]) canvas.removeAttribute(name);
    canvas.style.width = "";
    const width = canvas.clientWidth;
    this.across = Math.max(width > 280 ? 2 : 1, Math.floor((width + GAP) / (state.size + GAP)));
    this.width = (width - GAP * (this.across - 1)) / this.across;
    canvas.style.setProperty("--card", `${this.width}px`);
    canvas.classList.toggle("narrow", this.width < NARROW);
    rows.show({
      count: Math.ceil(order.length / this.across),
      height: order.length ? this.measured(order[0]) + GAP : 1,
      make: (number) => this.row(number),
      blank: () => el("div", { class: "row", role: "none" }),
    });
  }

  /** Cards have one height: no part of one grows with its text. */
  measured(row) {
    const item = this.item(row, 0);
    item.style.visibility = "hidden";
    this.gallery.canvas.append(item);
    const height = item.offsetHeight;
    item.remove();
    return height;
  }

  row(number) {
    const start = number * this.across;
    const items = this.order.slice(start, start + this.across).map((row, place) => this.item(row, start + place));
    const node = el("div", { class: "row", role: "none" }, items);
    node.load = () => items.forEach((item) => item.load());
    return node;
  }

  item(row, place) {
    const { table, pictures, state } = this.gallery;
    const own = pictures.of(row);
    const reference = table.text("reference_path", row) ? pictures.of(row, { reference: true }) : null;
    const [generator, setting, flags] = ["generator", "setting", "flags"].map((name) => table.text(name, row));
    const card = el(
      "button",
      { class: "card", type: "button", "data-row": row, tabindex: row === this.gallery.cursor ? 0 : -1 },
      el("span", { class: reference ? "frame paired" : "frame" }, reference, own),
      el(
        "span",
        { class: "who" },
        el("b", {}, generator || "no generator"),
        setting ? el("em", {}, setting) : null,
        flags ? el("span", { class: "flag", title: flags }, "⚑", el("span", { class: "hidden" }, flags)) : null,
      ),
      el("span", { class: "prompt" }, table.text("prompt", row) || table.text("image_id", row)),
      scoreLines(table, numbersOf(row)),
      modelLine(table, state, row),
    );
    const item = el(
      "div",
      { class: "item", role: "listitem", "aria-setsize": this.order.length, "aria-posinset": place + 1 },
      card,
    );
    item.load = () => [own, reference].forEach((picture) => picture?.load());
    return item;
  }

  /** The image that a key leads to from the one at `row`. */
  moved(row, key) {
    const at = this.placeOf(row);
    const page = this.across * Math.max(1, Math.floor(this.gallery.scroller.clientHeight / this.gallery.rows.height));
    const step = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.across,
      ArrowDown: this.across,
      PageUp: -page,
      PageDown: page,
    };
    if (key === "Home") return this.order[0];
    if (key === "End") return this.order.at(-1);
    if (at < 0) return this.order[0];
    const to = at + step[key];
    return to >= 0 && to < this.order.length ? this.order[to] : row;
  }

  placeOf(row) {
    this.places ??= new Map(this.order.map((one, place) => [one, place]));
    return this.places.get(row) ?? -1;
  }

  reveal(row) {
    return this.gallery.rows.reveal(Math.floor(this.placeOf(row) / this.across));
  }
}
