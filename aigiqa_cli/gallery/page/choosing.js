// Which images are shown, in which order; and how many there would be for each value of a filter.

/** A filter by values: `values` in reading order, and for each word of the column the numbers of its values. */
function facetOf(table, name) {
  table.facets ??= {};
  if (table.facets[name]) return table.facets[name];
  const { words, codes } = table.column(name).coded;
  const parts = words.map((word) => (name === "flags" && word ? word.split(";") : [word || NONE]));
  const collator = new Intl.Collator("en", { numeric: true });
  const values = [...new Set(parts.flat())].sort((a, b) => (a === NONE) - (b === NONE) || collator.compare(a, b));
  const numbers = new Map(values.map((value, number) => [value, number]));
  const byWord = parts.map((its) => its.map((value) => numbers.get(value)));
  return (table.facets[name] = { name, values, codes, byWord });
}

/** For each row, is the text in its prompt or name? Every word that was typed must be. */
function textTest(table, text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return null;
  const prompts = table.column("prompt").coded;
  prompts.folded ??= prompts.words.map((word) => word.toLowerCase());
  const there = prompts.folded.map((prompt) => wanted.every((word) => prompt.includes(word)));
  table.names ??= Array.from({ length: table.count }, (_, row) => table.text("image_id", row).toLowerCase());
  return (row) => there[prompts.codes[row]] || wanted.every((word) => table.names[row].includes(word));
}

/** The tests of a state: each row is judged by all of them, because the counts beside a filter leave that one out. */
function testsOf(table, state) {
  const tests = [];
  for (const facet of FACETS.map((name) => facetOf(table, name))) {
    const picked = state.picks[facet.name];
    if (!picked?.size) continue;
    const good = facet.byWord.map((its) => its.some((number) => picked.has(facet.values[number])));
    tests.push({ name: facet.name, passes: (row) => good[facet.codes[row]] });
  }
  for (const [name, [low, high]] of Object.entries(state.ranges)) {
    const { value } = table.dimension(name);
    tests.push({ name, passes: (row) => value[row] >= low && value[row] <= high });
  }
  const passes = textTest(table, state.text);
  if (passes) tests.push({ name: "text", passes });
  return tests;
}

/** { rows: the images in order, counts: facet -> images for each of its values under all other filters }. */
function choose(table, state) {
  const tests = testsOf(table, state);
  const facets = FACETS.map((name) => facetOf(table, name));
  const counts = Object.fromEntries(facets.map((facet) => [facet.name, new Int32Array(facet.values.length)]));
  const rows = [];
  for (let row = 0; row < table.count; row++) {
    let failed = 0,
      which = "";
    for (const test of tests) {
      if (test.passes(row)) continue;
      which = test.name;
      if (++failed > 1) break;
    }
    if (failed > 1) continue;
    if (!failed) rows.push(row);
    for (const facet of facets) {
      if (failed && which !== facet.name) continue;
      for (const number of facet.byWord[facet.codes[row]]) counts[facet.name][number]++;
    }
  }
  return { rows: sorted(table, rows, state), counts };
}

/** Images without the number come last, whichever way; equal ones stay in the order of the index. */
function sorted(table, rows, { sort, order }) {
  const { values } = sortings(table).get(sort);
  const sign = order === "desc" ? -1 : 1;
  if (!values) return sign < 0 ? rows.reverse() : rows;
  return rows.sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    return Number.isNaN(x) - Number.isNaN(y) || (x === y || Number.isNaN(x) ? a - b : sign * (x - y));
  });
}
