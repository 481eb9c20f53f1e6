// Pictures: linked files or carried copies; loaded a few at a time, and only those that come into sight.

const AT_ONCE = 6;
const NEAR = "300px"; // of what is in sight: from there on pictures are loaded

class Pictures {
  constructor(table, told) {
    this.table = table;
    this.told = told;
    this.waiting = [];
    this.loading = 0;
    this.wishes = new WeakMap();
    this.sight = new IntersectionObserver((entries) => this.seen(entries), { scrollMargin: NEAR });
    this.references = new Map((told.references ?? []).map((path, number) => [path, table.count + number]));
  }

  get linked() {
    return "prefix" in this.told;
  }

  /** The address of the file itself; "" where the page carries copies. */
  address(path) {
    return this.linked && path ? this.told.prefix + path.split("/").map(encodeURIComponent).join("/") : "";
  }

  /** A picture of a row, or its reference: an element that fills its frame once `load` is called. */
  of(row, { reference = false, alt = "" } = {}) {
    const path = this.table.text(reference ? "reference_path" : "image_path", row);
    const frame = el("span", { class: "picture" });
    if (!path) {
      frame.append(this.absent("labels only", "no image is installed"));
      frame.load = () => {};
      return frame;
    }
    this.wishes.set(frame, { frame, path, number: reference ? this.references.get(path) : row, alt });
    frame.load = () => {
      frame.load = () => {};
      this.sight.observe(frame);
    };
    return frame;
  }

  seen(entries) {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      this.sight.unobserve(target);
      this.waiting.push(this.wishes.get(target));
    }
    this.next();
  }

  absent(what, why) {
    return el("span", { class: "absent" }, el("b", {}, what), el("small", {}, why));
  }

  next() {
    while (this.loading < AT_ONCE && this.waiting.length) {
      const wish = this.waiting.shift();
      if (wish.frame.isConnected) this.fill(wish);
    }
  }

  fill(wish) {
    const { frame, path, number, alt } = wish;
    const source = this.linked ? this.address(path) : this.copy(number);
    if (source === null) return this.later(wish);
    if (!source) return frame.append(this.absent("cannot be shown", "aigiqa verify says why"));
    const image = el("img", { alt, decoding: "async", draggable: "false" });
    const done = (shown) => {
      this.loading--;
      frame.classList.toggle("shown", shown);
      if (!shown) image.replaceWith(this.absent("not found", "the page lies elsewhere than its images"));
      this.next();
    };
    image.addEventListener("load", () => done(true), { once: true });
    image.addEventListener("error", () => done(false), { once: true });
    this.loading++;
    image.src = source;
    frame.append(image);
  }

  /** The page is still being read: ask again when it has been. */
  later(wish) {
    const again = () => {
      this.waiting.push(wish);
      this.next();
    };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", again, { once: true });
    else wish.frame.append(this.absent("cannot be shown", "the page is not complete"));
  }

  /** The address of a carried copy; "" where there is none, null where the page has not been read that far. */
  copy(number) {
    const chunk = $(`copies-${Math.floor(number / this.told.chunk)}`);
    if (!chunk) return null;
    const ends = chunk.dataset.ends.split(",").map(Number);
    const place = number % this.told.chunk;
    const copy = chunk.textContent.slice(ends[place - 1] ?? 0, ends[place]);
    return copy && `data:${this.told.type};base64,${copy}`;
  }
}
