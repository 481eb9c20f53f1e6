// A range of scores: where the scores lie, and two handles on them.

const BINS = 32;
const STEPS = 200;

class Range {
  constructor(dimension, changed) {
    this.dimension = dimension;
    this.changed = changed;
    const handle = (end) =>
      el("input", {
        type: "range",
        min: 0,
        max: STEPS,
        step: 1,
        "aria-label": `${dimension.name} ${end}`,
        on: { input: () => this.moved(end) },
      });
    this.from = handle("from");
    this.to = handle("to");
    this.says = el("output", {});
    this.bars = this.histogram();
    const unit = dimension.published ? "" : " (0..1)";
    this.node = el(
      "fieldset",
      { class: "range" },
      el("legend", {}, dimension.name + unit),
      this.says,
      svg("svg", { viewBox: `0 0 ${BINS} 20`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...this.bars),
      el("div", { class: "handles" }, this.from, this.to),
    );
  }

  histogram() {
    const { low, high, value } = this.dimension;
    const counts = new Int32Array(BINS);
    for (const one of value) {
      if (!Number.isNaN(one)) counts[Math.min(BINS - 1, Math.floor(((one - low) / (high - low || 1)) * BINS))]++;
    }
    const most = Math.max(...counts, 1);
    return Array.from(counts, (count, number) => {
      const height = (count / most) * 19 + (count ? 1 : 0);
      return svg("rect", { x: number + 0.08, width: 0.84, y: 20 - height, height });
    });
  }

  /** The score at a step; both ends exactly, so that no image falls out by rounding. */
  at(step) {
    const { low, high } = this.dimension;
    return step <= 0 ? low : step >= STEPS ? high : Number((low + ((high - low) * step) / STEPS).toPrecision(4));
  }

  moved(end) {
    const [from, to] = [Number(this.from.value), Number(this.to.value)];
    if (end === "from" && from > to) this.from.value = to;
    if (end === "to" && to < from) this.to.value = from;
    const [first, last] = [Number(this.from.value), Number(this.to.value)];
    const { low, high } = this.dimension;
    // The other end stays the number that it was, also where no step of a handle is as exact.
    let [least, most] = this.range ?? [low, high];
    if (end === "from" || this.at(first) > most) least = this.at(first);
    if (end === "to" || this.at(last) < least) most = this.at(last);
    this.changed(first <= 0 && last >= STEPS ? null : [Math.min(least, most), most]);
  }

  update(range) {
    this.range = range;
    const { low, high, digits } = this.dimension;
    const [from, to] = range ?? [low, high];
    const step = (score) => Math.round(((score - low) / (high - low || 1)) * STEPS);
    if (document.activeElement !== this.from) this.from.value = step(from);
    if (document.activeElement !== this.to) this.to.value = range ? step(to) : STEPS;
    this.says.textContent = `${fixed(from, digits)} – ${fixed(to, digits)}`;
    this.bars.forEach((bar, number) => {
      const middle = low + ((high - low) * (number + 0.5)) / BINS;
      bar.classList.toggle("out", middle < from || middle > to);
    });
    for (const handle of [this.from, this.to])
      handle.setAttribute("aria-valuetext", fixed(this.at(Number(handle.value)), digits));
  }
}
