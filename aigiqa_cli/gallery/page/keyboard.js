// Keys.

const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];

class Keyboard {
  constructor(gallery) {
    this.gallery = gallery;
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  pressed(event) {
    const { gallery } = this;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const writing = event.target.matches("input:not([type=checkbox]), select");
    if (event.key === "Escape") return this.escape(writing, event.target);
    if (writing) return;
    const act = {
      "/": () => $("search").select(),
      "?": () => gallery.help(),
      g: () => gallery.change({ view: "grid" }),
      p: () => gallery.change({ view: "prompts" }),
      f: () => gallery.panel(true),
      t: () => gallery.theme.next(),
    }[event.key];
    if (act) {
      event.preventDefault();
      act();
    } else if (MOVES.includes(event.key) && !event.shiftKey && !event.target.closest("aside, header")) {
      event.preventDefault();
      gallery.point(event.key);
    } else if (event.key === "Enter" && event.target.matches("body, main") && gallery.cursor >= 0) {
      gallery.open(gallery.cursor);
    }
  }

  escape(writing, target) {
    if (document.body.classList.contains("filtering")) this.gallery.panel(false);
    else if (writing) target.blur();
  }
}
