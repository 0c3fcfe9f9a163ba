// The same layer in the frameworks' own words, written and read. Both say what
// tconvjax.conventions says.

const FRAMEWORKS = ["tconvjax", "layers.nnx", "layers.equinox", "PyTorch", "Flax", "Keras"];
// Those of this package.
const OURS = FRAMEWORKS.slice(0, 3);

// -- writing ---------------------------------------------------------------------------------------

// The arguments of a framework's layer, or why it has none.
function said(a, framework) {
  const all = axes(a), each = (act) => all.map(act);
  const steps = { kernel_size: a.kernel, stride: a.stride, dilation: a.dilation };
  if (framework === "Flax" || framework === "Keras") {
    if (a.groups > 1) return { why: "groups", framework };
  }
  const padding = a.padding.map(([low, high]) => (low === high ? low : [low, high]));
  if (framework === "layers.nnx") {
    const given = { kernel_size: a.kernel, strides: a.stride, padding, output_padding: a.output_padding,
      kernel_dilation: a.dilation, feature_group_count: a.groups };
    if (a.padding_mode === "zeros") return given;
    // As in Flax, modes that copy are paddings of span - 1 elements; without an output_padding they give
    // stride * n elements.
    const extra = each((x) => span(x) - 1 - x.low - x.high);
    const usual = all.every((x, n) => extra[n] === x.stride - 1);
    const starts = all.every((x, n) => x.low === Math.floor((span(x) - 1) / 2)
      && extra[n] >= 0 && extra[n] < Math.max(x.stride, x.dilation));
    if (a.padding_mode === "replicate" || !starts || !(usual || Math.max(...extra) > 0)) return { why: "mode", framework };
    return { ...given, padding: a.padding_mode.toUpperCase(), output_padding: usual ? null : extra };
  }
  if (a.padding_mode !== "zeros" && !OURS.includes(framework)) {
    // Flax's CIRCULAR gives stride * n elements from a place of its own.
    const starts = all.every((x) => inSize(x) === x.stride * x.size
      && x.low === Math.floor((Math.max(span(x) - x.stride, 0) + 1) / 2));
    if (framework !== "Flax" || a.padding_mode !== "circular" || !starts) return { why: "mode", framework };
    return { kernel_size: a.kernel, strides: a.stride, padding: "CIRCULAR", kernel_dilation: a.dilation,
      transpose_kernel: true };
  }
  if (framework === "Flax") {
    return {
      kernel_size: a.kernel, strides: a.stride,
      padding: each((x) => [span(x) - 1 - x.low, span(x) - 1 - x.high]), kernel_dilation: a.dilation,
      transpose_kernel: true,
    };
  }
  if (framework === "Keras") {
    if (Math.max(...a.stride) > 1 && Math.max(...a.dilation) > 1) return { why: "dilation", framework };
    const given = { kernel_size: a.kernel, strides: a.stride, dilation_rate: a.dilation };
    const fits = (x, extra, padding) => String(kerasEnds(x, extra, padding)) === String([x.low, x.high]);
    for (const padding of ["valid", "same"]) {
      if (all.every((x) => fits(x, null, padding))) return { ...given, padding, output_padding: null };
      const extra = each((x) => range(x.stride).find((n) => fits(x, n, padding)));
      if (!extra.includes(undefined)) return { ...given, padding, output_padding: extra };
    }
    return { why: "padding", framework };
  }
  if (framework === "PyTorch") {
    const extra = each((x) => x.low - x.high);
    if (all.some((x, n) => extra[n] < 0 || extra[n] >= Math.max(x.stride, x.dilation))) {
      return { why: "ends", framework };
    }
    return { ...steps, padding: each((x) => x.low), output_padding: extra, groups: a.groups };
  }
  const name = framework === "layers.equinox" ? a.padding_mode.toUpperCase() : a.padding_mode;
  const mode = a.padding_mode === "zeros" ? {} : { padding_mode: name };
  return { ...steps, padding, output_padding: a.output_padding, groups: a.groups, ...mode };
}

// What Keras cuts off a natural result, before and after.
function kerasEnds(x, extra, padding) {
  const s = x.stride, all = span(x);
  if (padding === "valid") return [0, -(extra === null ? Math.max(all, s) - all : extra)];
  const around = extra === null ? s + all - 2 : all + (all % 2) - 2 + extra;
  const low = Math.min(Math.floor(around / 2) + (around % 2), all - 1);
  return [all - 1 - low, all - 1 - (around - low)];
}

// What a call may leave out, since it is the framework's own default. Keras has no default of 0 for
// its output_padding, and Flax and our layers for it none for their padding.
function isDefault(name, value, framework) {
  if (value === null) return true;
  if (name === "kernel_size") return framework === "tconvjax"; // the weights say it
  if (typeof value === "string" || typeof value === "boolean") return false;
  if (framework === "layers.nnx" && name === "padding") return false;
  if ((framework === "Flax" || framework === "Keras") && /padding/.test(name)) return false;
  return [].concat(value).every((one) => one === (/padding/.test(name) ? 0 : 1));
}

// A value as Python writes it; `other` is an expression that was read and not understood.
function python(value) {
  if (value === null) return "None";
  if (value.other) return value.other;
  if (Array.isArray(value)) {
    return `(${value.map(python).join(", ")}${value.length === 1 ? "," : ""})`;
  }
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "string" ? `"${value}"` : String(value);
}
// Where all axes have one number, PyTorch's people and we write just that.
const shortest = (name, value) => (name !== "kernel_size" && Array.isArray(value) && alike(value)
  && Number.isInteger(value[0]) ? value[0] : value);

// The call of a framework as {line, y, w, bias}, all but the line being shapes, or {why} it has none.
// The setting may be that of a pasted layer: then it has the layer's channels and groups, whether it
// has a `bias`, and 0 channels of y if the layer does not say how many there are.
function codeLine(a, framework) {
  const given = said(a, framework);
  if (given.why) return given;
  const short = OURS.includes(framework) || framework === "PyTorch";
  const channelsFirst = short && framework !== "layers.nnx";
  const words = Object.entries(given).filter(([name, value]) => !isDefault(name, value, framework))
    .map(([name, value]) => `${name}=${python(short ? shortest(name, value) : value)}`);
  const n = a.dimension, ins = a.in_channels, outs = a.out_channels || { other: "channels" };
  const channels = [outs, ins].map(python), none = (name) => (a.bias ? [] : [`${name}=False`]);
  const [call, before, after] = {
    tconvjax: ["tc.conv_transpose", ["y", "w", ...(a.bias ? ["bias"] : [])], []],
    "layers.nnx": ["tconvjax.layers.nnx.ConvTranspose", channels, [...none("use_bias"), "rngs=nnx.Rngs(0)"]],
    "layers.equinox": [`tconvjax.layers.equinox.ConvTranspose${n}d`, channels,
      [...none("use_bias"), "key=jax.random.key(0)"]],
    PyTorch: [`torch.nn.ConvTranspose${n}d`, channels, none("bias")],
    Flax: ["nnx.ConvTranspose", channels, [...none("use_bias"), "rngs=nnx.Rngs(0)"]],
    Keras: [`keras.layers.Conv${n}DTranspose`, [ins], none("use_bias")],
  }[framework];
  const fewer = ins / a.groups, own = framework === "layers.equinox"; // which has no batch
  return {
    line: `${call}(${[...before, ...words, ...after].join(", ")})`,
    y: python([...(own ? [] : [1]), ...(channelsFirst ? [outs, ...a.out_size] : [...a.out_size, outs])]),
    w: python(channelsFirst ? [outs, fewer, ...a.kernel] : [...a.kernel, fewer, outs]),
    bias: a.bias ? python([ins, ...(own ? a.kernel.map(() => 1) : [])]) : "",
  };
}

// The fence of a Markdown page that shows this setting, with z's counts if they are shown.
function fence(a, y, w, counted = false) {
  const sizes = (list) => list.join("x");
  const lines = ["view: explorer", `out_size: ${sizes(a.out_size)}`, `kernel: ${sizes(a.kernel)}`];
  for (const name of ["stride", "padding", "output_padding", "dilation", "groups"]) {
    const text = writeNumbers(a, name);
    if (text !== String(RANGES[name].least)) lines.push(`${name}: ${text}`);
  }
  for (const name of CHANNELS) if (a[name] !== a.groups) lines.push(`${name}: ${a[name]}`);
  if (counted) lines.push("counts: yes");
  if (a.padding_mode !== "zeros") lines.push(`padding_mode: ${a.padding_mode}`);
  const list = (values) => values.map((value) => written(value)).join(",");
  return ["```tconv", ...lines, `y: ${list(y)}`, `w: ${list(w)}`, "```", ""].join("\n");
}

// -- reading ---------------------------------------------------------------------------------------

// A call in Python as {name, args, named}, or null. Numbers, strings, None, True, False, tuples and
// lists have their values; of any other expression there is only `other`, its first name, and `call`
// if it is a call.
function readCall(text) {
  const tokens = String(text).slice(0, 2000).replace(/#.*/, "")
    .match(/[A-Za-z_][\w.]*|\d+(?:\.\d*)?|"[^"]*"|'[^']*'|\S/g) || [];
  const start = tokens.findIndex((token, n) => tokens[n + 1] === "(" && /^[A-Za-z_]/.test(token));
  if (start < 0) return null;
  let at = start + 2;
  const items = (end) => { // up to the closing bracket
    const found = [];
    while (at < tokens.length && tokens[at] !== end) {
      const name = tokens[at + 1] === "=" ? tokens[at] : null;
      if (name) at += 2;
      found.push([name, value()]);
      if (tokens[at] === ",") at += 1;
      else if (tokens[at] !== end) throw SyntaxError();
    }
    if (at >= tokens.length) throw SyntaxError();
    at += 1;
    return found;
  };
  const value = () => {
    const token = tokens[at++];
    if (token === "-" && /^\d+$/.test(tokens[at])) return -Number(tokens[at++]);
    if (/^\d+$/.test(token)) return Number(token);
    if (/^["']/.test(token)) return token.slice(1, -1);
    if (token === "(") {
      const found = items(")").map(([, item]) => item);
      return found.length === 1 && tokens[at - 2] !== "," ? found[0] : found;
    }
    if (token === "[") return items("]").map(([, item]) => item);
    if (token in CONSTANTS) return CONSTANTS[token];
    if (!/^[A-Za-z_\d]/.test(token)) throw SyntaxError();
    if (tokens[at] !== "(") return { other: token };
    at += 1;
    return { other: token, call: call(token) };
  };
  const call = (name) => { // after its opening bracket
    const all = items(")"), named = Object.fromEntries(all.filter(([key]) => key));
    return { name, args: all.filter(([key]) => !key).map(([, item]) => item), named };
  };
  try {
    return call(tokens[start]);
  } catch { // not a call
    return null;
  }
}
const CONSTANTS = { __proto__: null, True: true, False: false, None: null };

// The layers that are read: what their positional arguments are called.
const LAYERS = [
  [/^(?!eqx|equinox).*\bConvTranspose([123])d$/, "torch", ["in_channels", "out_channels", "kernel_size",
    "stride", "padding", "output_padding", "groups", "bias", "dilation", "padding_mode"]],
  [/\bConv(?:olution)?([123])DTranspose$/, "keras", ["filters", "kernel_size", "strides", "padding",
    "output_padding", "data_format", "dilation_rate"]],
  [/\bConvTranspose$/, "nnx", ["in_features", "out_features", "kernel_size", "strides"]],
  [/\bConvTranspose$/, "linen", ["features", "kernel_size", "strides", "padding", "kernel_dilation"]],
];

const kindsOf = ({ name }) => LAYERS.filter(([pattern]) => pattern.test(name));
// Interpolation, which has no kernel to show.
const FIXED = /\b(Upsample|Upsampling(Nearest|Bilinear)2d|UpSampling[123]D|interpolate|image\.resize)$/;

// The layers that a call is given, such as that of weight_norm(nn.ConvTranspose1d(16, 8, 4)).
const layersIn = ({ args, named }) => [...args, ...Object.values(named)].flat(Infinity).filter((one) => one?.call)
  .flatMap(({ call }) => (kindsOf(call).length ? [call] : layersIn(call)));

// Ends the reading of a layer that is not possible or cannot be shown.
class NoLayer extends Error {
  constructor(about) {
    super(about.why);
    this.about = about;
  }
}
const refuse = (name, given, why, more = {}) => {
  throw new NoLayer({ why, name, given: python(given ?? null), ...more });
};

// The layer that a line of PyTorch, Keras or Flax makes, as {numbers, layer}: what `setting` reads but
// for the size of y, which is given and decides how many channels can be drawn; and the layer's own
// channels, groups and bias; or {why} it cannot be read.
function readLayer(text, out_size = 3) {
  const outer = readCall(text);
  if (!outer) return { why: /[A-Za-z_]\s*\(/.test(text) ? "open" : "call" };
  const inner = kindsOf(outer).length ? [outer] : layersIn(outer), [call] = inner;
  if (inner.length !== 1) {
    const { name } = outer;
    return { why: FIXED.test(name) ? "fixed" : /\bConv([123][dD])?$/.test(name) ? "forward" : "layer", name };
  }
  const kinds = kindsOf(call);
  const linen = kinds.length > 1 && ("features" in call.named || call.args.length === 1
    || Array.isArray(call.args[1]));
  const [pattern, framework, names] = kinds[linen ? 1 : 0];
  if (call.args.length > names.length) return { why: "many", name: call.name, names };
  const given = { ...call.named };
  call.args.forEach((value, n) => { given[names[n]] = value; });
  const size = given.kernel_size;
  const rank = Number(call.name.match(pattern)[1]) || (Array.isArray(size) ? size.length : 1);
  if (rank > 2) return { why: "rank", rank };
  // The whole numbers of an argument, one for each axis, or for `of` 1 of them.
  const whole = (name, least, usual, of = rank, most = RANGES.padding.most) => {
    const value = given[name] ?? usual, list = fitted([].concat(value), of);
    if (value === undefined) return refuse(name, value, "missing");
    if (list.some((n) => n?.other)) return refuse(name, list.find((n) => n?.other), "variable");
    if (Array.isArray(value) && value.length !== of && value.length !== 1) {
      return refuse(name, value, "axes", { rank: of });
    }
    const takes = (n) => Number.isInteger(n) && n >= least && n <= most;
    return list.every(takes) ? list : refuse(name, value, "range", { least, most });
  };
  try {
    const { crops, groups = 1, ...steps } = READERS[framework](given, whole);
    const numbers = { dimension: rank, padding_mode: MODES[0], groups, ...steps, ...ends(steps, crops) };
    // The channels of y and of z; Keras does not say those of y.
    const [outs, ins] = [["in_channels", "in_features"], ["out_channels", "out_features", "filters", "features"]]
      .map((all) => all.find((name) => Number.isInteger(given[name])))
      .map((name) => name && whole(name, 1, undefined, 1)[0]);
    for (const [name, channels] of [["in_channels", outs], ["out_channels", ins]]) {
      if (channels % groups) refuse(name, channels, "divided", { groups });
    }
    const bias = ![false, 0, null].includes(given.bias ?? given.use_bias ?? true);
    const layer = { out_channels: outs ?? 0, in_channels: ins ?? 1, groups, bias };
    return { numbers: channelsShown(numbers, outs, ins, out_size), layer };
  } catch (error) {
    if (!(error instanceof NoLayer)) throw error;
    return error.about;
  }
}

// All channels and groups if they can be drawn, else one pair of channels in each group.
function channelsShown(numbers, outs, ins, out_size) {
  const { groups } = numbers, some = groups > MOST_CHANNELS ? 1 : groups;
  const each = [outs, ins].map((channels) => (outs && ins ? channels / groups : 1));
  const [all, few] = [[groups, ...each], [some, 1, 1]]
    .map(([g, o, i]) => ({ ...numbers, groups: g, out_channels: g * o, in_channels: g * i }));
  return drawable(setting({ ...all, out_size })) ? all : few;
}

// What is not shown of a pasted layer's channels and groups.
function notShown({ out_channels: ins, in_channels: outs, groups }, a) {
  const notes = [], fewer = (all, shown) => all / groups > shown / a.groups;
  if (ins && (fewer(ins, a.out_channels) || fewer(outs, a.in_channels))) {
    notes.push({ kind: a.groups > 1 ? "channelsOfGroups" : "channels", ins, outs, groups });
  }
  if (a.groups < groups) notes.push({ kind: "groups", groups });
  return notes;
}

const stepsOf = (whole, stride, dilation) => ({
  kernel: whole("kernel_size", 1), stride: whole(stride, 1, 1, undefined, RANGES.stride.most),
  dilation: whole(dilation, 1, 1, undefined, RANGES.dilation.most),
});

const READERS = {
  torch(given, whole) {
    const mode = given.padding_mode ?? MODES[0];
    if (mode !== MODES[0]) refuse("padding_mode", mode, "mode");
    const padding = whole("padding", 0, 0), extra = whole("output_padding", 0, 0);
    const steps = stepsOf(whole, "stride", "dilation");
    extra.forEach((more, n) => {
      const [stride, dilation] = [steps.stride[n], steps.dilation[n]];
      if (more >= Math.max(stride, dilation)) refuse("output_padding", more, "extra", { stride, dilation });
    });
    const [groups] = whole("groups", 1, 1, 1);
    return { ...steps, groups, crops: padding.map((p, n) => [p, p - extra[n]]) };
  },
  keras(given, whole) {
    const padding = String(given.padding ?? "valid").toLowerCase();
    if (padding !== "valid" && padding !== "same") refuse("padding", given.padding, "keras");
    const steps = stepsOf(whole, "strides", "dilation_rate");
    const extra = (given.output_padding ?? null) === null ? null : whole("output_padding", 0);
    const crops = steps.kernel.map((kernel, n) => kerasEnds(
      { kernel, stride: steps.stride[n], dilation: steps.dilation[n] }, extra && extra[n], padding));
    return { ...steps, crops };
  },
  // The padding around the dilated input, which lax calls SAME or VALID.
  nnx(given, whole) {
    const steps = stepsOf(whole, "strides", "kernel_dilation");
    const padding = given.padding ?? "SAME", list = [].concat(padding);
    const crops = steps.kernel.map((kernel, n) => {
      const stride = steps.stride[n], all = span({ kernel, dilation: steps.dilation[n] }), sum = all + stride - 2;
      const low = stride > all - 1 ? all - 1 : Math.ceil(sum / 2);
      const around = {
        SAME: [low, sum - low], VALID: [all - 1, stride - 1 + Math.max(all - stride, 0)],
      }[padding] || (list.length === steps.kernel.length || !Array.isArray(padding)
        ? [].concat(list[Array.isArray(padding) ? n : 0]) : []);
      if (around.length === 1) around.push(around[0]);
      if (around.length !== 2 || !around.every(Number.isInteger)) refuse("padding", padding, "flax");
      return around.map((end) => all - 1 - end);
    });
    return { ...steps, crops };
  },
};
READERS.linen = READERS.nnx;

// What is cut off each axis as padding and output_padding.
function ends({ stride, dilation }, crops) {
  const padding = [], output_padding = [];
  crops.forEach(([low, high], n) => {
    const room = Math.max(stride[n], dilation[n]), fits = low >= high && low - high < room;
    if (low < 0 || high <= -room) refuse("padding", [low, high], "adds");
    padding.push(fits ? [low, low] : [low, Math.max(high, 0)]);
    output_padding.push(fits ? low - high : Math.max(-high, 0));
  });
  return { padding, output_padding };
}
