// One image: large, beside its reference, with every field of the index and the others of its prompt.

const STRIP = 40; // images of the same prompt, at most

class Detail {
  constructor(gallery) {
    this.gallery = gallery;
    this.dialog = $("detail");
    this.dialog.addEventListener("close", () => gallery.closed());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
      const other = event.target.closest("[data-row]");
      if (other) gallery.open(Number(other.dataset.row));
    });
    this.dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.step(step);
    });
  }

  step(by) {
    const { order } = this.gallery.view;
    const to = order[this.gallery.view.placeOf(this.row) + by];
    if (to !== undefined) this.gallery.open(to);
  }

  show(row) {
    this.row = row;
    const within = this.dialog.contains(document.activeElement) ? document.activeElement.dataset.act : "";
    this.dialog.replaceChildren(this.head(row), el("div", { class: "body" }, this.stage(row), this.facts(row)));
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.querySelector(".body").scrollTop = 0;
    for (const picture of this.dialog.querySelectorAll(".picture")) picture.load();
    this.dialog.querySelector('[aria-current="true"]')?.scrollIntoView({ block: "nearest", inline: "center" });
    this.dialog.querySelector(`[data-act="${within || "close"}"]:not(:disabled)`)?.focus();
    if (!this.gallery.table.whole && document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", () => this.dialog.open && this.show(this.row), { once: true });
    }
  }

  head(row) {
    const { view, table } = this.gallery;
    const place = view.placeOf(row);
    const act = (name, text, label, on, disabled) =>
      el(
        "button",
        {
          type: "button",
          class: "plain",
          "data-act": name,
          "aria-label": label,
          title: label,
          disabled,
          on: { click: on },
        },
        text,
      );
    const last = view.order.length - 1;
    return el(
      "header",
      {},
      el("h2", { id: "detail-name" }, table.text("image_id", row)),
      el(
        "span",
        { class: "place" },
        place < 0 ? "not in this selection" : `${grouped(place + 1)} of ${grouped(view.order.length)}`,
      ),
      act("before", "‹", "Previous image (left arrow)", () => this.step(-1), place === 0),
      act("after", "›", "Next image (right arrow)", () => this.step(1), place === last),
      act("close", "×", "Close (Esc)", () => this.dialog.close(), false),
    );
  }

  stage(row) {
    const { table, pictures } = this.gallery;
    const figure = (reference, caption) =>
      el(
        "figure",
        {},
        pictures.of(row, { reference, alt: caption }),
        el("figcaption", {}, caption, this.open(row, reference)),
      );
    const paired = table.text("reference_path", row) !== "";
    return el(
      "div",
      { class: "stage" },
      el(
        "div",
        { class: paired ? "figures paired" : "figures" },
        paired ? figure(true, "Reference image") : null,
        figure(false, paired ? "Generated image" : `Image ${table.text("image_id", row)}`),
      ),
      pictures.linked
        ? null
        : el("p", { class: "hint" }, `This page carries copies of at most ${pictures.told.side} pixels a side.`),
      this.strip(row),
    );
  }

  open(row, reference) {
    const address = this.gallery.pictures.address(
      this.gallery.table.text(reference ? "reference_path" : "image_path", row),
    );
    return address ? el("a", { href: address, target: "_blank", rel: "noopener" }, "open the file") : null;
  }

  strip(row) {
    const { table, pictures } = this.gallery;
    const { words, codes } = table.column("prompt_id").coded;
    if (!words[codes[row]]) return null;
    const others = [];
    for (let other = 0; other < table.count; other++) if (codes[other] === codes[row]) others.push(other);
    if (others.length < 2) return null;
    const name = (other) =>
      ["generator", "setting", "image_id"]
        .map((column) => table.text(column, other))
        .filter(Boolean)
        .join(" ");
    others.sort((a, b) => name(a).localeCompare(name(b), "en", { numeric: true }));
    const around = clamp(others.indexOf(row) - STRIP / 2, 0, Math.max(0, others.length - STRIP));
    const buttons = others
      .slice(around, around + STRIP)
      .map((other) =>
        el(
          "button",
          { type: "button", "data-row": other, title: name(other), "aria-current": other === row ? "true" : "false" },
          pictures.of(other),
          el("span", {}, table.text("generator", other) || table.text("image_id", other)),
        ),
      );
    return el(
      "section",
      { class: "strip" },
      el("h3", {}, `Same prompt · ${plural(others.length, "image")}`),
      el("div", {}, buttons),
    );
  }

  facts(row) {
    const { table } = this.gallery;
    const prompt = table.text("prompt", row);
    return el(
      "div",
      { class: "facts", role: "region", "aria-label": "Fields", tabindex: 0 },
      prompt ? el("p", { class: "words" }, prompt) : el("p", { class: "words without" }, "no prompt"),
      el("div", { class: "scores" }, scoreLines(table, numbersOf(row))),
      this.predictions(row),
      el("h3", {}, "All fields of the index"),
      this.fields(row),
    );
  }

  predictions(row) {
    const { table } = this.gallery;
    if (!table.models.length) return null;
    const says = (model) => {
      if (Number.isNaN(model.raw[row])) return "no prediction for this image";
      const on = table.dimensions.map(({ name, digits }) => {
        const one = model.by[name];
        if (!one || one.map === "none") return `${name}: cannot be compared`;
        const how = one.map === "logistic" ? "logistic fit" : "z-scored";
        const error = Number.isNaN(one.error[row])
          ? "no score to compare with"
          : `error ${fixed(one.error[row], digits)}`;
        return `${name}: ${fixed(one.moved[row], digits)} (${how}), ${error}`;
      });
      return [`predicts ${model.raw[row]}`, ...on].map((line) => el("div", {}, line));
    };
    return [
      el("h3", {}, "Predictions"),
      el(
        "dl",
        { class: "fields" },
        table.models.map((model) => [el("dt", {}, model.name), el("dd", {}, says(model))]),
      ),
    ];
  }

  /** Every field as the index has it, `extra` taken apart. */
  fields(row) {
    const { table } = this.gallery;
    if (!table.whole) return el("p", { class: "hint" }, "The page is still being read.");
    const shown = (name, text) => {
      if (text === "") return el("dd", { class: "without" }, "empty");
      const hint = name === "bytes" ? ` (${humanBytes(Number(text))})` : "";
      return el("dd", { class: name === "sha256" || name.endsWith("_id") ? "code" : "" }, text, hint);
    };
    const pairs = table.order.flatMap((name) => {
      const text = table.text(name, row);
      return name === "extra" && text ? this.extra(text) : [el("dt", {}, name), shown(name, text)];
    });
    return el("dl", { class: "fields" }, pairs);
  }

  extra(text) {
    let fields;
    try {
      fields = Object.entries(JSON.parse(text));
    } catch {
      return [el("dt", {}, "extra"), el("dd", {}, text)];
    }
    return fields.flatMap(([name, value]) => [
      el("dt", {}, `extra.${name}`),
      el("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
    ]);
  }
}
