// Elements and numbers. Text from the data only ever becomes text: nothing here parses it as HTML.

const $ = (id) => document.getElementById(id);

/** An element with attributes, listeners (`on`) and children; attributes that are false or undefined are left out. */
function el(tag, { on = {}, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, act] of Object.entries(on)) node.addEventListener(event, act);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const grouped = (count) => count.toLocaleString("en");
const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
const fixed = (value, digits) => (Number.isNaN(value) ? "–" : value.toFixed(digits));
const NONE = "none"; // what stands for an empty field

/** Bytes in powers of ten, as hosts and disks count. */
function humanBytes(count) {
  if (count < 1000) return `${count} B`;
  const unit = Math.min(Math.floor(Math.log10(count) / 3), 4);
  return `${(count / 1000 ** unit).toPrecision(3)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

/** JSON in an element of the page; null while the page has not been read that far. */
function carried(id) {
  const node = $(id);
  return node ? JSON.parse(node.textContent) : null;
}
