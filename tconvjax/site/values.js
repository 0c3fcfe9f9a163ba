// The numbers of y and w: as they are read, as they are written, and the kernels that have a name.

const MOST_VALUE = 99;
const MOST_DENOMINATOR = 100;
// Above this common denominator sums are written as decimals.
const MOST_COMMON = 10000;

const gcd = (a, b) => (b ? gcd(b, a % b) : Math.abs(a));

// The denominator of a number that was read, and the common one of several.
function denominator(value) {
  for (let d = 1; d < MOST_DENOMINATOR; d++) {
    if (Math.abs(value * d - Math.round(value * d)) < 1e-9) return d;
  }
  return MOST_DENOMINATOR;
}
const common = (list) => list.map(denominator).reduce((all, d) => (all / gcd(all, d)) * d, 1);

// A number as text: a fraction whose denominator divides `whole`, or a decimal.
function written(value, whole = denominator(value)) {
  if (whole > MOST_COMMON) return String(Number(value.toPrecision(4)));
  const top = Math.round(value * whole), shared = gcd(top, whole);
  return shared === whole ? String(top / whole) : `${top / shared}/${whole / shared}`;
}

// A list of numbers such as 3, -1/4 or 0.25, or null: addresses and attributes are no more than that.
function readList(text) {
  const parts = String(text).split(",").map((part) => part.trim().replace(/^[−–]/, "-"));
  const number = /^-?(\d{1,2}(\/\d{1,2}|\.\d{1,2})?|\.\d{1,2})$/;
  if (parts.length > 512 || !parts.every((part) => number.test(part))) return null;
  const values = parts.map((part) => part.split("/").reduce((top, below) => top / below));
  const list = values.map(Number);
  return list.every((value) => Math.abs(value) <= MOST_VALUE) ? list : null;
}

// The numbers of one control as they are written in the fence: 3, 3x4, and a padding 1:2 or 0:1x2.
function readNumbers(name, text) {
  const { least, most } = RANGES[name], pairs = name === "padding";
  const parts = String(text).trim().split(/\s*[x×]\s*/).map((part) => part.split(":"));
  const good = parts.flat().every((n) => /^\d{1,4}$/.test(n) && n >= least && n <= most)
    && parts.every((part) => part.length <= (pairs ? 2 : 1)) && parts.length <= (PER_AXIS.includes(name) ? 2 : 1);
  if (!good) return null;
  return parts.map((part) => (pairs ? [Number(part[0]), Number(part.at(-1))] : Number(part[0])));
}
function writeNumbers(a, name) {
  if (!PER_AXIS.includes(name)) return String(a[name]);
  const parts = a[name].map((one) => (one.length && one[0] === one[1] ? String(one[0]) : [].concat(one).join(":")));
  return (alike(parts) ? parts.slice(0, 1) : parts).join("x");
}

// What a setting, a pasted layer, x, y and w, and whether z shows counts are called in attributes and
// addresses.
const NAMES = ["dimension", "padding_mode", ...Object.keys(RANGES), "layer", "x", "y", "w", "counts"];

// The channels of a pasted layer, its groups and whether it has a bias, as in 64,32,2,bias; null if no
// such layer is shown by the setting. 0 channels of y are unknown.
function readLayerText(text, a) {
  const [, outs, ins, groups, bias] = /^(\d{1,4}),(\d{1,4}),(\d{1,4})(,bias)?$/.exec(text) || [];
  const layer = { out_channels: Number(outs), in_channels: Number(ins), groups: Number(groups), bias: Boolean(bias) };
  const shows = (a.groups === 1 || a.groups === layer.groups)
    && CHANNELS.every((name) => layer[name] % layer.groups === 0 && a[name] <= (layer[name] || 1));
  return layer.in_channels && shows ? layer : null;
}
const writeLayer = ({ out_channels, in_channels, groups, bias }) => [out_channels, in_channels, groups,
  ...(bias ? ["bias"] : [])].join();

// A setting, a pasted layer, x, y and w from named texts. What cannot be read is left as it was and told
// in `refused`, so that nothing is changed in silence.
function readSetting(texts) {
  const given = { ...START, in_channels: undefined, out_channels: undefined }, refused = [];
  const told = (name) => texts[name] !== undefined && texts[name] !== null;
  if (told("dimension")) {
    if (/^[12]$/.test(texts.dimension)) given.dimension = Number(texts.dimension);
    else refused.push({ name: "dimension", least: 1, most: 2 });
  }
  if (told("padding_mode")) {
    if (MODES.includes(texts.padding_mode)) given.padding_mode = texts.padding_mode;
    else refused.push({ name: "padding_mode", choices: MODES });
  }
  for (const name of Object.keys(RANGES).filter(told)) {
    const list = readNumbers(name, texts[name]);
    if (list && list.length <= given.dimension) given[name] = PER_AXIS.includes(name) ? list : list[0];
    else refused.push({ name, ...RANGES[name] });
  }
  const a = setting(given), all = shapes(a), shape = { x: all.z, y: all.y, w: all.w };
  const values = { x: null, y: null, w: null };
  for (const name of Object.keys(values).filter(told)) {
    const list = readList(texts[name]);
    if (list && list.length === count(shape[name])) values[name] = list;
    else refused.push({ name, count: count(shape[name]) });
  }
  const layer = told("layer") ? readLayerText(texts.layer, a) : null;
  if (told("layer") && !layer) refused.push({ name: "layer" });
  return { setting: a, layer, refused, ...values };
}

// The numbers of an array to begin with: 1 to 9 over and over, and each sheet begins one later.
function counting(shape, a) {
  const sheet = count(shape.slice(-a.dimension));
  return range(count(shape)).map((index) => 1 + ((index + Math.floor(index / sheet)) % 9));
}

// -- kernels with a name ---------------------------------------------------------------------------

const binomial = (n) => range(n).reduce((row) => [...row, 0].map((value, k) => value + (row[k - 1] ?? 0)), [1]);

// One axis of a kernel of this size. The tent interpolates linearly with the stride (size + 1) // 2.
const PROFILES = {
  ones: (size) => Array(size).fill(1),
  tent: (size) => range(size).map((t) => 1 - Math.abs(t - (size - 1) / 2) / Math.ceil(size / 2)),
  smooth: (size) => binomial(size - 1),
  slope: (size) => {
    if (size < 2) return [1];
    const row = binomial(size - 2);
    return [...row, 0].map((value, k) => value - (row[k - 1] ?? 0));
  },
};

// The values of a kernel, for all pairs of channels alike: "ones", "tent", "sobel" or "random".
function preset(name, a) {
  if (name === "random") return range(count(shapes(a).w)).map(() => Math.floor(19 * Math.random()) - 9);
  const profiles = axes(a).map((x, n) => {
    const last = n === a.dimension - 1;
    return PROFILES[name === "sobel" ? (last ? "slope" : "smooth") : name](x.kernel);
  });
  const one = combinations(profiles).map((factors) => count(factors));
  return range(count(shapes(a).w.slice(0, 2))).flatMap(() => one);
}
