// The filters beside the images, and the chips above them that say which are set.

const LABELS = {
  database: "Database",
  generator: "Generator",
  setting: "Setting",
  split: "Split",
  task: "Task",
  flags: "Flags",
};

class Filters {
  constructor(gallery) {
    this.gallery = gallery;
    this.node = $("filters");
    const { table } = gallery;
    const facets = FACETS.map((name) => facetOf(table, name)).filter((facet) => facet.values.length > 1);
    this.lists = facets.map((facet) => this.list(facet));
    this.ranges = table.dimensions
      .filter((dimension) => dimension.high > dimension.low)
      .map((dimension) => new Range(dimension, (range) => this.ranged(dimension.name, range)));
    this.done = el(
      "button",
      { type: "button", class: "done", on: { click: () => gallery.panel(false) } },
      "Show images",
    );
    this.node.append(
      el("h2", {}, "Filters"),
      ...this.ranges.map((range) => range.node),
      ...this.lists.map((list) => list.node),
      this.lists.length || this.ranges.length
        ? ""
        : el("p", { class: "hint" }, "All images are alike: there is nothing to filter by."),
      this.done,
    );
  }

  list(facet) {
    const boxes = facet.values.map((value) => {
      const box = el("input", {
        type: "checkbox",
        value,
        on: { change: () => this.picked(facet.name, value, box.checked) },
      });
      const count = el("span", { class: "count" });
      return { value, box, count, node: el("label", {}, box, el("span", { class: "value" }, value), count) };
    });
    const node = el(
      "fieldset",
      { class: "facet" },
      el("legend", {}, LABELS[facet.name]),
      el(
        "div",
        {},
        boxes.map((one) => one.node),
      ),
    );
    return { name: facet.name, boxes, node };
  }

  picked(facet, value, on) {
    const picks = { ...this.gallery.state.picks, [facet]: new Set(this.gallery.state.picks[facet]) };
    if (on) picks[facet].add(value);
    else picks[facet].delete(value);
    if (!picks[facet].size) delete picks[facet];
    this.gallery.change({ picks });
  }

  ranged(name, range) {
    const ranges = { ...this.gallery.state.ranges };
    if (range) ranges[name] = range;
    else delete ranges[name];
    this.gallery.change({ ranges });
  }

  update(counts, shown) {
    const { state } = this.gallery;
    for (const { name, boxes } of this.lists) {
      boxes.forEach(({ value, box, count, node }, number) => {
        box.checked = state.picks[name]?.has(value) ?? false;
        count.textContent = grouped(counts[name][number]);
        node.classList.toggle("zero", !counts[name][number] && !box.checked);
      });
    }
    for (const range of this.ranges) range.update(state.ranges[range.dimension.name]);
    this.done.textContent = `Show ${plural(shown, "image")}`;
    $("chips").replaceChildren(...this.chips());
  }

  chips() {
    const { state, table } = this.gallery;
    const chip = (text, act) =>
      el(
        "button",
        { type: "button", class: "chip", on: { click: act } },
        text,
        el("span", { "aria-hidden": "true" }, "×"),
        el("span", { class: "hidden" }, "remove this filter"),
      );
    const found = [];
    if (state.text) found.push(chip(`“${state.text}”`, () => this.gallery.change({ text: "" })));
    for (const [name, [low, high]] of Object.entries(state.ranges)) {
      const { digits } = table.dimension(name);
      found.push(chip(`${name} ${fixed(low, digits)} – ${fixed(high, digits)}`, () => this.ranged(name, null)));
    }
    for (const [facet, values] of Object.entries(state.picks)) {
      for (const value of values)
        found.push(chip(`${LABELS[facet].toLowerCase()}: ${value}`, () => this.picked(facet, value, false)));
    }
    if (found.length > 1)
      found.push(
        el("button", { type: "button", class: "chip all", on: { click: () => this.gallery.clear() } }, "Clear all"),
      );
    return found;
  }
}
