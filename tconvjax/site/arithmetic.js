// The integers of a transposed convolution. Pure functions of a setting, no page: a test runs this
// file under node against the Python package.
//
// A setting has one number for all axes: dimension, out_size, kernel, stride, padding,
// output_padding, dilation, groups. As everywhere in the package, out_size and in_size belong to
// the FORWARD convolution: the transposed one reads y, of out_size, and gives z, of in_size.
// Everything comes from j = s*i + d*t - p: element i of y, element j of z, tap t of w.

const START = {
  dimension: 2, out_size: 3, kernel: 3, stride: 2, padding: 1, output_padding: 0, dilation: 1,
  groups: 1,
};

const MOST_VALUE = 99;
// Entries of a matrix, and cells of all stamps, that a page draws without delay.
const MOST_ENTRIES = 4500;

// What the controls offer: [least, most]. In 2-D sizes are smaller, so that C.T stays readable.
function bounds(dimension) {
  return {
    dimension: [1, 2], out_size: [1, dimension === 1 ? 8 : 4],
    kernel: [1, dimension === 1 ? 7 : 4], stride: [1, 4], padding: [0, 4], output_padding: [0, 3],
    dilation: [1, 3], groups: [1, 3],
  };
}

// -- sizes -----------------------------------------------------------------------------------------

const span = (a) => a.dilation * (a.kernel - 1) + 1;
// What the stamps cover before anything is cut off.
const natural = (a) => a.stride * (a.out_size - 1) + span(a);
const inSize = (a) => natural(a) - 2 * a.padding + a.output_padding;
// The canvas shows what is cut off too; output padding may reach beyond the last stamp.
const canvasSize = (a) => Math.max(natural(a), a.padding + inSize(a));

// Shapes with the channel first; channels = groups, so that each group has one channel each way.
function shapes(a) {
  const of = (size) => [a.groups, ...Array(a.dimension).fill(size)];
  return { y: of(a.out_size), w: of(a.kernel), z: of(inSize(a)), canvas: of(canvasSize(a)) };
}

const count = (shape) => shape.reduce((total, size) => total * size, 1);

// A flat index as coordinates, and back: the last axis runs fastest.
function unravel(index, shape) {
  const place = [];
  for (let n = shape.length - 1; n >= 0; n--) {
    place.unshift(index % shape[n]);
    index = Math.floor(index / shape[n]);
  }
  return place;
}
const ravel = (place, shape) => place.reduce((index, at, n) => index * shape[n] + at, 0);

// The control that keeps a setting from being a transposed convolution with elements, and why; or
// null. The rule is PyTorch's.
function problem(a) {
  const room = Math.max(a.stride, a.dilation);
  if (a.output_padding >= room) return { kind: "output_padding", most: room - 1 };
  if (inSize(a) < 1) {
    const most = Math.floor((natural(a) + a.output_padding - 1) / 2);
    return { kind: "padding", size: inSize(a), most };
  }
  return null;
}

// -- links -----------------------------------------------------------------------------------------

// All combinations, one item of each list, the last list running fastest.
const combinations = (lists) => lists.reduce(
  (found, list) => found.flatMap((items) => list.map((item) => [...items, item])), [[]],
);
const range = (size) => Array.from({ length: size }, (_, n) => n);

// Every product, with flat indices: y[y] * w[w] is added to z[z], which lies at canvas[c]. z is -1
// where padding cuts the product off.
function links(a) {
  const shape = shapes(a), found = [], each = range(a.dimension);
  const outputs = combinations(each.map(() => range(a.out_size)));
  const taps = combinations(each.map(() => range(a.kernel)));
  for (const g of range(a.groups)) {
    for (const i of outputs) {
      for (const t of taps) {
        const c = each.map((n) => a.stride * i[n] + a.dilation * t[n]);
        const j = c.map((at) => at - a.padding);
        const kept = j.every((at) => at >= 0 && at < inSize(a));
        found.push({
          y: ravel([g, ...i], shape.y), w: ravel([g, ...t], shape.w),
          z: kept ? ravel([g, ...j], shape.z) : -1, c: ravel([g, ...c], shape.canvas),
        });
      }
    }
  }
  return found;
}

// C.T times vec(y), added up link by link.
function result(a, y, w) {
  const z = Array(count(shapes(a).z)).fill(0);
  for (const link of links(a)) if (link.z >= 0) z[link.z] += y[link.y] * w[link.w];
  return z;
}

// -- zero insertion --------------------------------------------------------------------------------

// One axis of y as an ordinary convolution reads it: stride - 1 zeros between neighbours and a
// border. `at` counts from the first element that is read; where the padding is larger than
// span - 1 the border is negative, and elements lie outside of what is read.
function inserted(a) {
  const border = span(a) - 1 - a.padding, length = inSize(a) + span(a) - 1;
  const last = border + a.stride * (a.out_size - 1);
  const from = Math.min(0, border), to = Math.max(length, last + 1);
  return range(to - from).map((n) => {
    const at = from + n, step = at - border;
    const within = step >= 0 && at <= last;
    return {
      at, read: at >= 0 && at < length,
      i: within && step % a.stride === 0 ? step / a.stride : -1,
      kind: !within ? "border" : step % a.stride === 0 ? "y" : "zero",
    };
  });
}
const borders = (a) => [span(a) - 1 - a.padding, span(a) - 1 - a.padding + a.output_padding];

// Where the taps of the flipped kernel lie when it gives element j (coordinates, channel first).
function windowAt(a, j) {
  const each = range(a.dimension), group = j[0];
  return combinations(each.map(() => range(a.kernel))).map((t) => ({
    w: ravel([group, ...t], shapes(a).w),
    at: each.map((n) => j[n + 1] + span(a) - 1 - a.dilation * t[n]),
  }));
}

// -- the same layer elsewhere ----------------------------------------------------------------------

const FRAMEWORKS = ["tconvjax", "PyTorch", "Flax", "Keras"];

// The arguments of a framework's layer, or why it has none. They say what tconvjax.conventions
// `translate` says, in the same words.
function said(a, framework) {
  const each = (value) => Array(a.dimension).fill(value);
  const low = a.padding, high = a.padding - a.output_padding, last = span(a) - 1;
  if (framework === "Flax" || framework === "Keras") {
    if (a.groups > 1) return { why: "groups", framework };
  }
  if (framework === "Flax") {
    return {
      kernel_size: each(a.kernel), strides: each(a.stride),
      padding: each([last - low, last - high]), kernel_dilation: each(a.dilation),
      transpose_kernel: true,
    };
  }
  if (framework === "Keras") {
    if (a.stride > 1 && a.dilation > 1) return { why: "dilation", framework };
    for (const padding of ["valid", "same"]) {
      for (const extra of [null, ...range(a.stride)]) {
        const [first, end] = kerasEnds(a, extra, padding);
        if (first !== low || end !== high) continue;
        return {
          kernel_size: each(a.kernel), strides: each(a.stride), dilation_rate: each(a.dilation),
          padding, output_padding: extra === null ? null : each(extra),
        };
      }
    }
    return { why: "padding", framework };
  }
  const steps = { stride: a.stride, padding: a.padding, output_padding: a.output_padding };
  const rest = { groups: a.groups, dilation: a.dilation };
  return framework === "PyTorch" ? { kernel_size: each(a.kernel), ...steps, ...rest }
    : { ...steps, ...rest };
}

// What Keras cuts off a natural result, before and after.
function kerasEnds(a, extra, padding) {
  const s = a.stride, all = span(a);
  if (padding === "valid") return [0, -(extra === null ? Math.max(all, s) - all : extra)];
  const around = extra === null ? s + all - 2 : all + (all % 2) - 2 + extra;
  const low = Math.min(Math.floor(around / 2) + (around % 2), all - 1);
  return [all - 1 - low, all - 1 - (around - low)];
}

// What a call may leave out, since it is the framework's own default. Keras's output_padding is a
// tuple here or null; its zeros are no default.
function isDefault(name, value) {
  if (value === null) return true;
  if (name === "padding" || name === "output_padding") return value === 0;
  return name !== "kernel_size" && [].concat(value).every((one) => one === 1);
}

// A value as Python writes it.
function python(value) {
  if (Array.isArray(value)) {
    return `(${value.map(python).join(", ")}${value.length === 1 ? "," : ""})`;
  }
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "string" ? `"${value}"` : String(value);
}

// The call of a framework as {line, shapes}, or {why} it has none.
function codeLine(a, framework) {
  const given = said(a, framework);
  if (given.why) return given;
  const words = Object.entries(given).filter(([name, value]) => !isDefault(name, value))
    .map(([name, value]) => `${name}=${python(value)}`);
  const g = a.groups, n = a.dimension, sizes = Array(n).fill(a.out_size);
  const taps = Array(n).fill(a.kernel);
  const channelsFirst = framework === "tconvjax" || framework === "PyTorch";
  const [call, before, after] = {
    tconvjax: ["tc.conv_transpose", ["y", "w"], []],
    PyTorch: [`torch.nn.ConvTranspose${n}d`, [g, g], ["bias=False"]],
    Flax: ["nnx.ConvTranspose", [1, 1], ["use_bias=False", "rngs=nnx.Rngs(0)"]],
    Keras: [`keras.layers.Conv${n}DTranspose`, [1], ["use_bias=False"]],
  }[framework];
  return {
    line: `${call}(${[...before, ...words, ...after].join(", ")})`,
    y: python(channelsFirst ? [1, g, ...sizes] : [1, ...sizes, 1]),
    w: python(channelsFirst ? [g, 1, ...taps] : [...taps, 1, 1]),
  };
}

// -- colours ---------------------------------------------------------------------------------------

// The package's own: tconvjax/rendering/palette.py, where it says where they are from.
const EIGHT = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442",
  "#999999"];
const SCALE = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779",
  "#6ece58", "#b5de2b", "#fde725"];

// Halves go to the even neighbour, as Python rounds them.
function rounded(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}
const rgb = (code) => [1, 3, 5].map((n) => parseInt(code.slice(n, n + 2), 16));

function colour(tap, taps) {
  if (taps <= EIGHT.length) return EIGHT[tap % EIGHT.length];
  const place = (tap % taps) / (taps - 1) * (SCALE.length - 1);
  const first = Math.min(Math.floor(place), SCALE.length - 2);
  const [low, high] = [rgb(SCALE[first]), rgb(SCALE[first + 1])];
  const mixed = low.map((part, n) => rounded(part + (high[n] - part) * (place - first)));
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

// The relative luminance of WCAG 2.2.
function luminance(parts) {
  const [r, g, b] = parts.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
// Black or white, whichever stands out more from a background.
const ink = (back) => ((luminance(rgb(back)) + 0.05) ** 2 > 1.05 * 0.05 ? "#000000" : "#ffffff");

// -- reading what others wrote ---------------------------------------------------------------------

// A list of whole numbers, or null: addresses and attributes are no more than that.
function readList(text) {
  const parts = String(text).split(",").map((part) => part.trim());
  if (parts.length > 512 || !parts.every((part) => /^-?\d{1,2}$/.test(part))) return null;
  return parts.map(Number);
}

// A setting, y and w from named texts. What is no number, or out of bounds, is left as it was and
// told in `refused`, so that nothing is changed in silence.
function readSetting(texts, base = START) {
  const setting = { ...base }, refused = [];
  for (const name of Object.keys(START)) { // dimension first: it decides the bounds
    const [least, most] = bounds(setting.dimension)[name];
    if (texts[name] !== undefined && texts[name] !== null) {
      const number = /^\d{1,3}$/.test(texts[name]) ? Number(texts[name]) : NaN;
      if (number >= least && number <= most) setting[name] = number;
      else refused.push({ name, least, most });
    }
    if (setting[name] > most) setting[name] = most; // of the base, which 1-D may allow and 2-D not
  }
  const shape = shapes(setting), values = { y: null, w: null };
  for (const name of ["y", "w"]) {
    if (texts[name] === undefined || texts[name] === null) continue;
    const list = readList(texts[name]);
    if (list && list.length === count(shape[name])) values[name] = list;
    else refused.push({ name, count: count(shape[name]) });
  }
  return { setting, refused, ...values };
}
