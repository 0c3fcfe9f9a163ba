// The integers of a transposed convolution. Pure functions of a setting, no page: a test runs this
// file under node against the Python package.
//
// A setting has the numbers `dimension`, `groups`, `in_channels` and `out_channels`, a `padding_mode`,
// and for each axis an entry in the lists out_size, kernel, stride, padding (a pair: before, after),
// output_padding and dilation. As everywhere in the package, out_size and out_channels, in_size and
// in_channels belong to the FORWARD convolution: the transposed one reads y, of out_channels and
// out_size, and gives z. Everything comes from j = s*i + d*t - p: element i of y, element j of z, tap
// t of w; each channel of y has a kernel for each channel of z in its group.

// The smallest and the largest number of each control, and where its slider ends.
const RANGES = {
  out_size: { least: 1, most: 4096, slider: [8, 4] },
  kernel: { least: 1, most: 4096, slider: [7, 4] },
  stride: { least: 1, most: 64, slider: [4, 4] },
  padding: { least: 0, most: 4096, slider: [4, 4] },
  output_padding: { least: 0, most: 63, slider: [3, 3] },
  dilation: { least: 1, most: 64, slider: [3, 3] },
  groups: { least: 1, most: 16, slider: [3, 3] },
  out_channels: { least: 1, most: 4096, slider: [4, 4] },
  in_channels: { least: 1, most: 4096, slider: [4, 4] },
};
const CHANNELS = ["out_channels", "in_channels"];
const PER_AXIS = Object.keys(RANGES).filter((name) => name !== "groups" && !CHANNELS.includes(name));

const MODES = ["zeros", "circular", "reflect", "replicate"];

// Entries of a matrix, and cells of all stamps, that a page draws without delay.
const MOST_ENTRIES = 4500;
const MOST_PRODUCTS = 1000;
const MOST_CELLS = 800; // of one sheet
const MOST_ALONG = 64; // cells along an axis
const MOST_CHANNELS = 4;

// -- settings --------------------------------------------------------------------------------------

const range = (size) => Array.from({ length: size }, (_, n) => n);

// The same list for another number of axes; the last entry stands for those that are missing.
const fitted = (list, dimension) => range(dimension).map((n) => list[Math.min(n, list.length - 1)]);

// A setting from numbers and lists: a number means all axes, and a padding both ends. There are as
// many channels as groups unless more are given.
function setting(numbers) {
  const { dimension, groups = 1, padding_mode = MODES[0], in_channels = groups, out_channels = groups } = numbers;
  const a = { dimension, groups, in_channels, out_channels, padding_mode };
  for (const name of PER_AXIS) {
    const list = fitted([].concat(numbers[name] ?? RANGES[name].least), a.dimension);
    a[name] = name === "padding" ? list.map((ends) => (ends.length ? ends : [ends, ends])) : list;
  }
  return a;
}
const START = setting({ dimension: 2, out_size: 3, kernel: 3, stride: 2, padding: 1 });

// An axis as everything below reads it. `low` and `high` are what is cut off the natural result.
const axes = (a) => range(a.dimension).map((n) => ({
  size: a.out_size[n], kernel: a.kernel[n], stride: a.stride[n], dilation: a.dilation[n],
  padding: a.padding[n], extra: a.output_padding[n], mode: a.padding_mode,
  low: a.padding[n][0], high: a.padding[n][1] - a.output_padding[n],
}));
const alike = (list) => list.every((one) => String(one) === String(list[0]));

// -- sizes -----------------------------------------------------------------------------------------

const span = (x) => x.dilation * (x.kernel - 1) + 1;
// What the stamps cover before anything is cut off.
const natural = (x) => x.stride * (x.size - 1) + span(x);
const inSize = (x) => natural(x) - x.low - x.high;
// The canvas shows what is cut off too; output padding may reach beyond the last stamp.
const canvasSize = (x) => Math.max(natural(x), x.low + inSize(x));

// The element of z to which a place belongs, or -1 if padding with zeros cuts it off. Padding that
// copies elements gives what falls into it back to the elements that it copies.
function source(mode, position, size) {
  if (position >= 0 && position < size) return position;
  if (mode === "zeros") return -1;
  if (mode === "circular") return ((position % size) + size) % size;
  if (mode === "replicate" || size === 1) return Math.min(Math.max(position, 0), size - 1);
  const turn = 2 * size - 2, at = ((position % turn) + turn) % turn;
  return Math.min(at, turn - at);
}

// Shapes with the channels first; w has a channel of y and one of z in its group.
function shapes(a) {
  const of = (size, ...channels) => [...channels, ...axes(a).map(size)];
  return {
    y: of((x) => x.size, a.out_channels), w: of((x) => x.kernel, a.out_channels, a.in_channels / a.groups),
    z: of(inSize, a.in_channels), canvas: of(canvasSize, a.in_channels),
  };
}

// The channels of y or z in a group, and the group of a channel.
const ofGroup = (g, channels, a) => range(channels / a.groups).map((n) => g * (channels / a.groups) + n);
const groupOf = (channel, channels, a) => Math.floor((channel * a.groups) / channels);

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
  for (const kind of CHANNELS) if (a[kind] % a.groups) return { kind, axis: a };
  for (const axis of axes(a)) {
    const room = Math.max(axis.stride, axis.dilation);
    if (axis.extra >= room) return { kind: "output_padding", axis, most: room - 1 };
    if (inSize(axis) < 1) {
      return { kind: "padding", axis, most: Math.floor((natural(axis) + axis.extra - 1) / 2) };
    }
  }
  return null;
}

// All products, also those that the padding cuts off.
const productsOf = ({ y, w }) => count(y) * count(w.slice(1));

// Whether the arrays are small enough for a page; larger ones are only counted.
function drawable(a) {
  const shape = shapes(a), cells = count(shape.canvas.slice(1));
  return Math.max(a.in_channels, a.out_channels) <= MOST_CHANNELS && cells <= MOST_CELLS
    && Math.max(...shape.canvas) <= MOST_ALONG && productsOf(shape) <= MOST_PRODUCTS;
}

// How many products each element along one axis of z is the sum of.
function overlaps(x) {
  const found = new Uint16Array(inSize(x));
  for (let i = 0; i < x.size; i++) {
    for (let t = 0; t < x.kernel; t++) {
      const j = source(x.mode, x.stride * i + x.dilation * t - x.low, found.length);
      if (j >= 0) found[j] += 1;
    }
  }
  return found;
}

// What can be told of a setting that is too large to draw: products are as many as C has non-zeros.
function counts(a) {
  const each = axes(a).map(overlaps), of = (act) => count(each.map(act));
  const shape = shapes(a), [meet] = shape.w; // the channels of y; those of a group meet in an element of z
  return {
    rows: count(shape.y), columns: count(shape.z),
    products: meet * shape.w[1] * of((found) => found.reduce((sum, n) => sum + n, 0)),
    all: productsOf(shape),
    fewest: meet / a.groups * of((found) => found.reduce((low, n) => Math.min(low, n))),
    most: meet / a.groups * of((found) => found.reduce((high, n) => Math.max(high, n))),
  };
}

// -- links -----------------------------------------------------------------------------------------

// All combinations, one item of each list, the last list running fastest.
const combinations = (lists) => lists.reduce(
  (found, list) => found.flatMap((items) => list.map((item) => [...items, item])), [[]],
);

// Every product, with flat indices: y[y] * w[w] is added to z[z], which lies at canvas[c]. z is -1
// where padding cuts the product off.
function links(a) {
  const shape = shapes(a), each = axes(a), sizes = each.map(inSize), found = [];
  const outputs = combinations(each.map((x) => range(x.size)));
  const taps = combinations(each.map((x) => range(x.kernel)));
  for (const o of range(a.out_channels)) {
    const channels = ofGroup(groupOf(o, a.out_channels, a), a.in_channels, a);
    for (const i of outputs) {
      channels.forEach((channel, n) => taps.forEach((t) => {
        const c = each.map((x, k) => x.stride * i[k] + x.dilation * t[k]);
        const j = c.map((at, k) => source(a.padding_mode, at - each[k].low, sizes[k]));
        const kept = j.every((at) => at >= 0);
        found.push({
          y: ravel([o, ...i], shape.y), w: ravel([o, n, ...t], shape.w),
          z: kept ? ravel([channel, ...j], shape.z) : -1, c: ravel([channel, ...c], shape.canvas),
        });
      }));
    }
  }
  return found;
}

// Sums of products, link by link: C.T y, and of the convolution of x with the gradient y of its
// output the output C x and the gradient of the kernel.
function result(a, y, w, all = links(a)) {
  const z = Array(count(shapes(a).z)).fill(0);
  for (const link of all) if (link.z >= 0) z[link.z] += y[link.y] * w[link.w];
  return z;
}
function forward(a, x, w, all = links(a)) {
  const y = Array(count(shapes(a).y)).fill(0);
  for (const link of all) if (link.z >= 0) y[link.y] += x[link.z] * w[link.w];
  return y;
}
function kernelGradient(a, x, y, all = links(a)) {
  const w = Array(count(shapes(a).w)).fill(0);
  for (const link of all) if (link.z >= 0) w[link.w] += x[link.z] * y[link.y];
  return w;
}

// -- zero insertion --------------------------------------------------------------------------------

// One axis of y as an ordinary convolution reads it: stride - 1 zeros between neighbours and a
// border. `at` counts from the first element that is read; where the padding is larger than
// span - 1 the border is negative, and elements lie outside of what is read.
function inserted(x) {
  const border = span(x) - 1 - x.low, length = inSize(x) + span(x) - 1;
  const last = border + x.stride * (x.size - 1);
  const from = Math.min(0, border), to = Math.max(length, last + 1);
  return range(to - from).map((n) => {
    const at = from + n, step = at - border;
    const within = step >= 0 && at <= last;
    return {
      at, read: at >= 0 && at < length,
      i: within && step % x.stride === 0 ? step / x.stride : -1,
      kind: !within ? "border" : step % x.stride === 0 ? "y" : "zero",
    };
  });
}
const borders = (x) => [span(x) - 1 - x.low, span(x) - 1 - x.high];

// Where the taps of the flipped kernels lie when they give element j (coordinates, channel first):
// those of each channel of y in the group, over that channel.
function windowAt(a, [channel, ...j]) {
  const each = axes(a), shape = shapes(a).w, taps = combinations(each.map((x) => range(x.kernel)));
  return ofGroup(groupOf(channel, a.in_channels, a), a.out_channels, a).flatMap((o) => taps.map((t) => ({
    w: ravel([o, channel % shape[1], ...t], shape), channel: o,
    at: each.map((x, n) => j[n] + span(x) - 1 - x.dilation * t[n]),
  })));
}
