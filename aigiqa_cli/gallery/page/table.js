// The index by column, and the numbers that are shown of it.

/** One column in one of three forms: the same text everywhere, numbered words, or a plain list. */
class Column {
  constructor(packed, count) {
    this.packed = packed;
    this.count = count;
  }

  at(row) {
    const { packed } = this;
    if (Array.isArray(packed)) return packed[row];
    return "all" in packed ? packed.all : packed.words[packed.at[row]];
  }

  /** Distinct texts, and the number of each row's. */
  get coded() {
    if (this.made) return this.made;
    const { packed, count } = this;
    if (Array.isArray(packed)) {
      const numbers = new Map();
      const codes = new Int32Array(count);
      for (let row = 0; row < count; row++) {
        if (!numbers.has(packed[row])) numbers.set(packed[row], numbers.size);
        codes[row] = numbers.get(packed[row]);
      }
      this.made = { words: [...numbers.keys()], codes };
    } else if ("all" in packed) {
      this.made = { words: count ? [packed.all] : [], codes: new Int32Array(count) };
    } else {
      this.made = { words: packed.words, codes: Int32Array.from(packed.at) };
    }
    return this.made;
  }

  /** Numbers, NaN where there is no text. */
  numbers() {
    const read = (text) => (text === "" ? NaN : Number(text));
    const { words, codes } = this.coded;
    const values = Float64Array.from(words, read);
    return Float64Array.from(codes, (code) => values[code]);
  }
}

/** A dimension on the scale that is shown: the published one, or 0..1 where databases differ. */
function dimensionOf(table, name, { published, factors }) {
  const unit = table.column(`score_${name}`).numbers();
  const mos = table.column(`mos_${name}`).numbers();
  const std = table.column(`std_${name}`).numbers();
  if (!published) {
    const { words, codes } = table.column("database").coded;
    const by = Float64Array.from(words, (word) => factors[word] ?? NaN);
    for (let row = 0; row < std.length; row++) std[row] *= by[codes[row]];
  }
  const value = published ? mos : unit;
  let low = Infinity,
    high = -Infinity,
    scored = 0;
  for (const number of value) {
    if (Number.isNaN(number)) continue;
    scored++;
    if (number < low) low = number;
    if (number > high) high = number;
  }
  const digits = high - low > 20 ? 1 : high - low > 1.5 ? 2 : 3;
  return { name, published, value, std, unit, low, high, scored, digits, deviates: std.some((x) => !Number.isNaN(x)) };
}

/** Predictions of a model: as they are, and by dimension moved onto the scale of the scores, with the error. */
function modelOf(table, { name, raw, missing, by }) {
  const numbers = (list) => Float64Array.from(list, (value) => value ?? NaN);
  const moved = {};
  for (const [dimension, one] of Object.entries(by)) {
    const values = numbers(one.moved);
    const scores = table.dimension(dimension).value;
    moved[dimension] = { ...one, moved: values, error: values.map((value, row) => Math.abs(value - scores[row])) };
  }
  return { name, raw: numbers(raw), missing, by: moved };
}

class Table {
  constructor(data) {
    this.count = data.images;
    this.order = data.order;
    this.databases = data.databases;
    this.columns = {};
    this.add(data.columns);
    this.dimensions = Object.entries(data.dimensions).map(([name, scale]) => dimensionOf(this, name, scale));
    this.models = data.models.map((model) => modelOf(this, model));
  }

  add(columns) {
    for (const [name, packed] of Object.entries(columns)) this.columns[name] = new Column(packed, this.count);
  }

  column(name) {
    return this.columns[name];
  }

  text(name, row) {
    return this.columns[name].at(row);
  }

  dimension(name) {
    return this.dimensions.find((one) => one.name === name);
  }

  /** Database and image, the name of a row everywhere. */
  key(row) {
    return `${this.text("database", row)}/${this.text("image_id", row)}`;
  }

  find(key) {
    this.keys ??= new Map(Array.from({ length: this.count }, (_, row) => [this.key(row), row]));
    return this.keys.get(key) ?? -1;
  }

  /** All columns are here once the rest of the page has been read. */
  get whole() {
    if (!("extra" in this.columns)) this.add(carried("later") ?? {});
    return "extra" in this.columns;
  }
}
