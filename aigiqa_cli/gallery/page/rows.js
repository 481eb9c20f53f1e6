// Virtual scrolling: of many rows of one height only those in sight are in the page.

const BEYOND = 0.6; // of the height in sight: what is made above and below it
const STILL = 90; // milliseconds without scrolling after which rows and pictures are made that were passed by

class Rows {
  constructor(scroller, canvas) {
    this.scroller = scroller;
    this.canvas = canvas;
    this.made = new Map();
    this.count = 0;
    this.last = 0;
    scroller.addEventListener("scroll", () => this.soon(), { passive: true });
  }

  /**
   * Show `count` rows of `height` pixels below `head`. `make(number)` gives an element and may give it `load`;
   * `blank()` gives an empty one, for rows that pass by faster than anyone can read. `before` is called before rows
   * are made.
   */
  show({ count, height, head = 0, make, blank, before = () => {} }) {
    this.clear();
    Object.assign(this, { count, height, head, make, blank, before });
    this.canvas.style.height = `${head + count * height}px`;
    this.draw(true);
  }

  clear() {
    for (const row of this.made.values()) row.remove();
    this.made.clear();
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw(calm = false) {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    this.before();
    const { scrollTop, clientHeight } = this.scroller;
    const distance = calm ? 0 : Math.abs(scrollTop - this.last);
    this.last = scrollTop;
    const flying = distance > clientHeight * 0.8;
    const top = scrollTop - this.canvas.offsetTop - this.head;
    const margin = flying ? 0 : clientHeight * BEYOND;
    const from = clamp(Math.floor((top - margin) / this.height), 0, this.count);
    const to = clamp(Math.ceil((top + clientHeight + margin) / this.height), from, this.count);
    for (const [number, row] of this.made) {
      if (number >= from && number < to && (flying || !row.blank)) continue;
      row.remove();
      this.made.delete(number);
    }
    for (let number = from; number < to; number++) {
      if (!this.made.has(number)) this.place(number, flying);
    }
    clearTimeout(this.timer);
    if (distance < clientHeight / 3) this.load();
    else this.timer = setTimeout(() => this.draw(true), STILL);
  }

  /** Put a row where it is read: rows stand in the page in their own order. */
  place(number, flying) {
    const row = flying ? this.blank() : this.make(number);
    row.blank = flying;
    row.style.transform = `translateY(${this.head + number * this.height}px)`;
    const next = [...this.made.keys()].filter((other) => other > number);
    this.made.set(number, row);
    this.canvas.insertBefore(row, next.length ? this.made.get(Math.min(...next)) : null);
  }

  load() {
    for (const row of this.made.values()) row.load?.();
  }

  /** Bring a row into sight and return its element. */
  reveal(number) {
    const top = this.canvas.offsetTop + this.head + number * this.height;
    const { scrollTop, clientHeight } = this.scroller;
    const hidden = this.head; // what sticks above the rows covers them
    if (top - hidden < scrollTop) this.scroller.scrollTop = top - hidden - 8;
    else if (top + this.height > scrollTop + clientHeight)
      this.scroller.scrollTop = top + this.height - clientHeight + 8;
    this.draw(true);
    return this.made.get(number);
  }
}
