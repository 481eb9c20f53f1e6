// Prompt by generator: images of one prompt side by side, the settings of a generator in columns of their own.

const MOST = 4; // pictures in one cell
const BRIEF = 185; // pixels of a cell: below that it shows no deviations ...
const NARROW_CELL = 140; // ... and below that no bars

const mean = (numbers) => {
  const found = numbers.filter((number) => !Number.isNaN(number));
  return found.length ? found.reduce((sum, number) => sum + number, 0) / found.length : NaN;
};

class Prompts {
  constructor(gallery) {
    this.gallery = gallery;
    this.order = [];
  }

  show(order) {
    const { canvas, rows, state } = this.gallery;
    this.group(order);
    canvas.className = "prompts";
    canvas.setAttribute("role", "table");
    canvas.setAttribute("aria-label", "Prompts by generator");
    canvas.setAttribute("aria-rowcount", this.groups.length + 1);
    canvas.setAttribute("aria-colcount", this.columns.length + 1);
    this.cell = Math.max(96, Math.round(state.size * 0.8));
    canvas.style.setProperty("--cell", `${this.cell}px`);
    canvas.classList.toggle("brief", this.cell < BRIEF);
    canvas.classList.toggle("narrow", this.cell < NARROW_CELL);
    canvas.style.setProperty("--columns", this.columns.length);
    rows.clear();
    const head = this.head();
    canvas.replaceChildren(head);
    canvas.style.width = `${head.firstChild.offsetWidth}px`;
    this.label =
      head.querySelector(".corner").offsetWidth - parseFloat(getComputedStyle(this.gallery.scroller).paddingLeft);
    this.column = head.querySelector(".setting")?.offsetWidth ?? 1;
    this.cover(true);
    rows.show({
      count: this.groups.length,
      height: this.groups.length ? this.measured() : 1,
      head: head.offsetHeight,
      make: (number) => this.row(number),
      blank: () => el("div", { class: "line", role: "none" }),
      before: () => this.cover(),
    });
  }

  /** Of the columns, too, only those in sight are made: `from` up to `to`, a screen more at each side. */
  cover(anew = false) {
    const { scroller, rows } = this.gallery;
    const screen = Math.ceil((scroller.clientWidth - this.label) / this.column);
    const first = Math.floor(scroller.scrollLeft / this.column);
    const seen = { from: clamp(first, 0, this.columns.length), to: clamp(first + screen + 1, 0, this.columns.length) };
    if (!anew && seen.from >= this.from && seen.to <= this.to) return;
    this.from = Math.max(0, seen.from - screen);
    this.to = Math.min(this.columns.length, seen.to + screen);
    rows.clear();
  }

  /** Rows of one prompt and reference, in the order of their first image; columns in reading order. */
  group(order) {
    const { table } = this.gallery;
    const prompts = table.column("prompt_id").coded;
    const references = table.column("reference_path").coded;
    const [generators, settings] = ["generator", "setting"].map((name) => facetOf(table, name));
    const column = (row) =>
      generators.byWord[generators.codes[row]][0] * settings.values.length + settings.byWord[settings.codes[row]][0];
    const present = [...new Set(order.map(column))].sort((a, b) => a - b);
    const numbers = new Map(present.map((key, number) => [key, number]));
    this.columns = present.map((key) => ({
      generator: generators.values[Math.floor(key / settings.values.length)],
      setting: settings.values[key % settings.values.length],
      rows: [],
    }));
    const groups = new Map();
    for (const row of order) {
      const key = prompts.codes[row] * references.words.length + references.codes[row];
      if (!groups.has(key)) groups.set(key, { first: row, cells: new Map() });
      const { cells } = groups.get(key);
      const number = numbers.get(column(row));
      if (!cells.has(number)) cells.set(number, []);
      cells.get(number).push(row);
      this.columns[number].rows.push(row);
    }
    this.groups = [...groups.values()];
    this.order = [];
    this.places = new Map();
    this.groups.forEach(({ cells }, line) => {
      for (const number of [...cells.keys()].sort((a, b) => a - b)) {
        cells.get(number).forEach((row, part) => {
          this.places.set(row, { line, number, part, place: this.order.length });
          this.order.push(row);
        });
      }
    });
  }

  /** The dimension that is compared: the one that is sorted by, else the first. */
  get dimension() {
    const { table, state } = this.gallery;
    return table.dimension(state.sort.split(":")[1]) ?? table.dimensions[0];
  }

  head() {
    const spans = [];
    for (const { generator, setting } of this.columns) {
      if (spans.at(-1)?.generator === generator) spans.at(-1).settings.push(setting);
      else spans.push({ generator, settings: [setting] });
    }
    const { dimension } = this;
    const names = spans.map(({ generator, settings }) => {
      const name = el("span", { class: "generator" }, el("b", {}, generator));
      name.style.setProperty("--span", settings.length);
      return name;
    });
    const cells = this.columns.map(({ generator, setting, rows }) => {
      const average = dimension ? mean(rows.map((row) => dimension.value[row])) : NaN;
      const says = Number.isNaN(average) ? "" : `mean ${fixed(average, dimension.digits)} · `;
      return el(
        "span",
        { role: "columnheader", class: "setting" },
        el("span", { class: "hidden" }, `${generator} `),
        el("span", {}, setting === NONE ? "" : setting),
        el("small", { title: plural(rows.length, "image") }, says + grouped(rows.length)),
      );
    });
    return el(
      "div",
      { class: "head", role: "rowgroup" },
      el("div", { class: "generators", "aria-hidden": "true" }, el("span", { class: "corner" }), names),
      el(
        "div",
        { class: "settings", role: "row", "aria-rowindex": 1 },
        el("span", { class: "corner", role: "columnheader" }, plural(this.groups.length, "prompt")),
        cells,
      ),
    );
  }

  measured() {
    const row = this.row(0);
    row.style.visibility = "hidden";
    this.gallery.canvas.append(row);
    const height = row.offsetHeight;
    row.remove();
    return height;
  }

  row(line) {
    const { table, pictures } = this.gallery;
    const { first, cells } = this.groups[line];
    const reference = table.text("reference_path", first)
      ? pictures.of(first, { reference: true, alt: "Reference image" })
      : null;
    const best = this.best(cells);
    const made = [];
    for (let number = this.from; number < this.to; number++)
      made.push(this.made(cells.get(number) ?? [], number, best));
    const before = el("span", { role: "none" });
    before.style.width = `${this.from * this.column}px`;
    before.style.flex = "none";
    const node = el(
      "div",
      { class: "line", role: "row", "aria-rowindex": line + 2 },
      el(
        "div",
        { class: "label", role: "rowheader" },
        reference ? el("span", { class: "reference" }, reference, el("small", {}, "reference")) : null,
        el("span", { class: "prompt" }, table.text("prompt", first) || "(no prompt)"),
      ),
      before,
      made,
    );
    node.load = () => [reference, ...made].forEach((part) => part?.load());
    return node;
  }

  /** The highest mean of a line, where there is more than one to compare. */
  best(cells) {
    const { dimension } = this;
    if (!dimension) return NaN;
    const means = [...cells.values()].map((cell) => mean(cell.map((row) => dimension.value[row])));
    const found = means.filter((one) => !Number.isNaN(one));
    return found.length > 1 ? Math.max(...found) : NaN;
  }

  made(cell, number, best) {
    const { table, pictures, cursor } = this.gallery;
    const { dimension } = this;
    const shown = cell.slice(0, MOST).map((row) => {
      const picture = pictures.of(row, { alt: `${table.text("image_id", row)}` });
      const button = el("button", { type: "button", "data-row": row, tabindex: row === cursor ? 0 : -1 }, picture);
      button.load = () => picture.load();
      return button;
    });
    const more =
      cell.length > MOST
        ? el(
            "button",
            { class: "more", type: "button", "data-row": cell[MOST], tabindex: -1 },
            `+${cell.length - MOST}`,
          )
        : null;
    const averages = (one) => ({
      value: mean(cell.map((row) => one.value[row])),
      std: cell.length > 1 ? NaN : one.std[cell[0]],
      unit: mean(cell.map((row) => one.unit[row])),
    });
    const top = dimension && averages(dimension).value === best;
    const node = el(
      "div",
      { class: `cell${top ? " best" : ""}${cell.length ? "" : " empty"}`, role: "cell", "aria-colindex": number + 2 },
      el("span", { class: `frame of-${Math.min(shown.length, MOST)}` }, shown, more),
      cell.length ? scoreLines(table, averages) : el("span", { class: "hidden" }, "no image"),
    );
    node.load = () => shown.forEach((button) => button.load());
    return node;
  }

  placeOf(row) {
    return this.places.get(row)?.place ?? -1;
  }

  moved(row, key) {
    const at = this.places.get(row);
    if (key === "Home" || !at) return this.order[0];
    if (key === "End") return this.order.at(-1);
    if (key === "ArrowLeft" || key === "ArrowRight") {
      return this.order[at.place + (key === "ArrowLeft" ? -1 : 1)] ?? row;
    }
    const page = Math.max(1, Math.floor(this.gallery.scroller.clientHeight / this.gallery.rows.height));
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page }[key];
    const group = this.groups[clamp(at.line + step, 0, this.groups.length - 1)];
    const near = [...group.cells].map(([number, cell]) => [Math.abs(number - at.number), cell]);
    const [, cell] = near.reduce((one, other) => (other[0] < one[0] ? other : one));
    return cell[Math.min(at.part, cell.length - 1, MOST)];
  }

  reveal(row) {
    const { scroller, rows } = this.gallery;
    const { line, number } = this.places.get(row);
    const left = number * this.column;
    const room = scroller.clientWidth - this.label - 2 * (this.column - this.cell);
    if (left < scroller.scrollLeft) scroller.scrollLeft = left;
    else if (left + this.column > scroller.scrollLeft + room) scroller.scrollLeft = left + this.column - room;
    return rows.reveal(line);
  }
}
