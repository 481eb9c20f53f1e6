// The page at work: one state, and whatever shows it.

const EMPTY = "This page has no images: nothing was selected when it was made.";

class Theme {
  constructor(button) {
    this.button = button;
    try {
      this.now = localStorage.getItem("aigiqa-theme") ?? "";
    } catch {
      this.now = ""; // a browser that keeps nothing
    }
    button.addEventListener("click", () => this.next());
    this.show();
  }

  next() {
    this.now = { "": "light", light: "dark", dark: "" }[this.now] ?? "";
    try {
      localStorage.setItem("aigiqa-theme", this.now);
    } catch {
      // as above
    }
    this.show();
  }

  show() {
    const [sign, says] = { light: ["☀", "light"], dark: ["☾", "dark"] }[this.now] ?? ["◐", "as the system"];
    document.documentElement.dataset.theme = this.now;
    this.button.textContent = sign;
    this.button.title = `Theme: ${says} (t)`;
    this.button.setAttribute("aria-label", `Theme: ${says}`);
  }
}

class Gallery {
  constructor(data) {
    this.table = new Table(data);
    this.pictures = new Pictures(this.table, data.pictures);
    this.scroller = $("main");
    this.canvas = $("canvas");
    this.rows = new Rows(this.scroller, this.canvas);
    this.views = { grid: new Grid(this), prompts: new Prompts(this) };
    this.theme = new Theme($("theme"));
    this.detail = new Detail(this);
    this.cursor = -1;
    this.state = fromHash(location.hash, this.table);
    this.filters = new Filters(this);
    this.keyboard = new Keyboard(this);
    this.controls();
    this.notes();
    this.show();
    if (this.state.image >= 0) this.detail.show(this.state.image);
  }

  get view() {
    return this.views[this.state.view];
  }

  controls() {
    const { table } = this;
    const groups = new Map();
    for (const [key, { label, group }] of sortings(table)) {
      if (!groups.has(group)) groups.set(group, group ? el("optgroup", { label: group }) : $("sort"));
      groups.get(group).append(el("option", { value: key }, label));
    }
    $("sort").append(...[...groups].filter(([group]) => group).map(([, node]) => node));
    $("sort").addEventListener("change", (event) => {
      const sort = event.target.value;
      this.change({ sort, order: sort === "index" ? "asc" : "desc" });
    });
    $("order").addEventListener("click", () => this.change({ order: this.state.order === "asc" ? "desc" : "asc" }));
    $("size").addEventListener("input", (event) => this.change({ size: Number(event.target.value) }));
    $("search").addEventListener("input", (event) => this.change({ text: event.target.value }));
    $("views").append(
      ...[
        ["grid", "Grid"],
        ["prompts", "Prompts"],
      ].map(([view, label]) =>
        el("button", { type: "button", "data-view": view, on: { click: () => this.change({ view }) } }, label),
      ),
    );
    $("open-help").addEventListener("click", () => this.help());
    $("open-filters").addEventListener("click", () => this.panel(true));
    $("help").append(...helpOf(table, this.pictures).flat());
    this.canvas.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-row]");
      if (chosen) this.open(Number(chosen.dataset.row));
    });
    window.addEventListener("popstate", () => this.goTo(location.hash));
    window.addEventListener("pagehide", () => this.write());
    let width = this.scroller.clientWidth;
    new ResizeObserver(() => {
      if (width === this.scroller.clientWidth) return this.rows.soon();
      width = this.scroller.clientWidth;
      this.lay();
    }).observe(this.scroller);
  }

  /** What must be known before looking: what is synthetic, what has no images, what predictions leave out. */
  notes() {
    const { databases, models, count } = this.table;
    const said = [];
    for (const { title, synthetic } of databases) {
      if (synthetic) said.push(`${title}: synthetic. The scores are computed, no person rated these images.`);
    }
    for (const { id, title, images } of databases) {
      if (!images) said.push(`${title}: only its labels are installed. “aigiqa fetch ${id}” brings the images.`);
    }
    for (const { name, missing } of models) {
      const of = `${grouped(missing)} of ${plural(count, "image")}`;
      if (missing) said.push(`${name}: no prediction for ${of}; they come last when sorted by error.`);
    }
    $("notes").replaceChildren(...said.map((text) => el("p", {}, text)));
    const longest = Math.max(0, ...this.table.dimensions.map(({ name }) => name.length));
    this.canvas.style.setProperty("--names", `${longest}ch`);
  }

  change(what) {
    Object.assign(this.state, what);
    this.show();
    if ("view" in what || "sort" in what || "order" in what) this.scroller.scrollTo(0, 0);
    clearTimeout(this.writing);
    this.writing = setTimeout(() => this.write(), 200);
  }

  clear() {
    this.change({ text: "", picks: {}, ranges: {} });
  }

  show() {
    const { state, table } = this;
    const { rows, counts } = choose(table, state);
    this.chosen = rows;
    this.filters.update(counts, rows.length);
    $("count").textContent =
      rows.length === table.count
        ? plural(table.count, "image")
        : `${grouped(rows.length)} of ${plural(table.count, "image")}`;
    const nothing = $("nothing");
    nothing.hidden = rows.length > 0;
    nothing.textContent = table.count ? "No image matches these filters." : EMPTY;
    if ($("search").value !== state.text) $("search").value = state.text;
    $("sort").value = state.sort;
    $("size").value = state.size;
    const up = state.order === "asc";
    $("order").textContent = up ? "↑" : "↓";
    $("order").setAttribute("aria-label", up ? "Ascending; change to descending" : "Descending; change to ascending");
    $("order").title = up ? "Ascending" : "Descending";
    for (const button of $("views").children) button.setAttribute("aria-pressed", button.dataset.view === state.view);
    this.lay();
  }

  /** The chosen images in the present view at the present width. */
  lay() {
    this.canvas.replaceChildren();
    this.view.show(this.chosen);
  }

  /** Move the cursor by a key. */
  point(key) {
    if (!this.view.order.length) return;
    this.focus(this.view.moved(this.cursor, key));
  }

  focus(row) {
    this.canvas.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    this.cursor = row;
    const card = this.view.reveal(row)?.querySelector(`[data-row="${row}"]`);
    card?.setAttribute("tabindex", "0");
    card?.focus({ preventScroll: true });
  }

  open(row) {
    const already = this.state.image >= 0;
    if (!already) this.write(); // the view without the image is what one goes back to
    this.state.image = row;
    history[already ? "replaceState" : "pushState"]({ detail: true }, "", this.address());
    this.detail.show(row);
  }

  /** The dialog was closed by a key, a click, or by going back. */
  closed() {
    const row = this.state.image;
    this.state.image = -1;
    if (row < 0) return;
    if (history.state?.detail) history.back();
    else this.write();
    if (this.view.placeOf(row) >= 0) this.focus(row);
  }

  help() {
    $("help").showModal();
  }

  panel(open) {
    document.body.classList.toggle("filtering", open);
    this.scroller.inert = open && matchMedia("(max-width: 800px)").matches;
    (open ? $("filters").querySelector("input") : $("open-filters"))?.focus();
  }

  address() {
    return toHash(this.state, this.table) || location.pathname + location.search;
  }

  write() {
    clearTimeout(this.writing);
    history.replaceState(history.state, "", this.address());
  }

  /** The state of an address that was typed or gone back to. */
  goTo(hash) {
    const next = fromHash(hash, this.table);
    const { image } = next;
    const seen = (state) => toHash({ ...state, image: -1 }, this.table);
    const same = seen(next) === seen(this.state);
    this.state = next;
    if (!same) this.show();
    if (image >= 0) this.detail.show(image);
    else if (this.detail.dialog.open) this.detail.dialog.close();
  }
}

const gallery = new Gallery(carried("data"));
// The second frame begins when the first one has been shown.
requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("gallery-shown")));
