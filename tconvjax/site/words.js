// What the explorer says, in English and in Chinese. Sentences are made of numbers and of names
// such as z(1,1); they go into the page as text, never as HTML.

// A sum of at most so many terms; the rest is counted.
const MOST_TERMS = 6;
function summed(terms, more) {
  const shown = terms.slice(0, MOST_TERMS).join(" + ").replace(/\+ -/g, "− ");
  return terms.length > MOST_TERMS ? `${shown} + ${more(terms.length - MOST_TERMS)}` : shown;
}
// The size of an array, and the shapes of x and z, and of y; a single channel is not told.
const times = (sizes) => sizes.join(" × ");
const sizesOf = (a) => [shapes(a).z, shapes(a).y].map(([channels, ...sizes]) => times(
  Math.max(a.in_channels, a.out_channels) > 1 ? [channels, ...sizes] : sizes));
// The name of a row or column, 3 or (0,1), in a Chinese sentence.
const nth = (at) => `${at[0] === "(" ? "" : "第 "}${at} `;
// A factor that is negative or a fraction needs brackets.
const factor = (text) => (/[-/]/.test(text) ? `(${text})` : text);
// The sum that gives the size of z along an axis.
const sizeSum = (x) => `${x.stride}·(${x.size} − 1) + ${x.dilation}·(${x.kernel} − 1) + 1 − `
  + `${alike(x.padding) ? `2·${x.low}` : x.padding.join(" − ")} + ${x.extra} = ${inSize(x)}`;
// Something that is said of each axis, once if all are alike.
const perAxis = (all, say, axis, between = "; ") => (alike(all.map((x) => JSON.stringify(x))) ? say(all[0])
  : all.map((x, n) => `${axis(n)}${say(x)}`).join(between));
// A number for each axis, or one for all.
const ofAxes = (list) => (alike(list) ? String(list[0]) : times(list));
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");

const ENGLISH = {
  between: " ", // sentences
  title: "Transposed convolution explorer",
  controls: {
    dimension: "dimension", out_size: "size of y", kernel: "kernel", stride: "stride",
    padding: "padding", output_padding: "output padding", dilation: "dilation", groups: "groups",
    out_channels: "channels of y", in_channels: "channels of z", padding_mode: "padding mode",
  },
  modes: { zeros: "zeros", circular: "circular", reflect: "reflect", replicate: "replicate" },
  copies: {
    circular: "Where j leaves z, it comes in again at the opposite end.",
    reflect: "Where j leaves z, it is mirrored at the first or last element.",
    replicate: "Where j leaves z, the first or last element takes its place.",
  },
  typed: (label) => `${label}, typed`,
  typing: "a number, or one for each axis such as 3x4",
  axes: (n) => `${n}-D`,
  example: "example",
  examples: {
    "": "choose one", checkerboard: "checkerboard: stride 2, kernel 3", shuffle:
    "no overlap: kernel = stride", padding: "padding cuts the rim", extra: "output padding",
    dilation: "dilated kernel", gaps: "gaps: stride above kernel", line: "a line: 1-D",
    groups: "two groups", channels: "two channels to two",
  },
  fold: { controls: "More settings", views: "More settings and views" },
  open: "Open in the explorer",
  preset: "kernel values",
  presets: { "": "1 to 9", ones: "ones", tent: "tent (linear)", sobel: "Sobel", random: "random",
    own: "own numbers" },
  paste: "paste a layer",
  pasted: "nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)",
  read: "The settings of this layer were taken; the size of y stays.",
  notShown: {
    channels: ({ ins, outs }) => `The current layer has ${ins} channels in and ${outs} out: one pair is drawn here. `
      + "Each pair has a kernel of its own, and what all input channels give to an output channel is added up.",
    channelsOfGroups: ({ ins, outs, groups }) => `The current layer has ${ins} channels in and ${outs} out in ${groups} `
      + "groups: one channel of each group is drawn here. Each pair of channels in a group has a kernel of its own, and "
      + "what all input channels of the group give to an output channel is added up.",
    groups: ({ groups }) => `The current layer has ${groups} groups, and one of them is drawn.`,
  },
  notRead: {
    call: () => "This line calls no layer. Paste one such as nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1).",
    open: () => "This call is not complete Python: a bracket or a comma is missing, or there is one too many.",
    forward: ({ name }) => `${name} is an ordinary convolution. Paste its transpose: ConvTranspose1d or 2d of PyTorch, `
      + "Conv1DTranspose or Conv2DTranspose of Keras, or ConvTranspose of Flax.",
    fixed: ({ name }) => `${name} interpolates and has no kernel to learn. It is a transposed convolution with fixed `
      + "weights. For a factor of 2 and away from the rim: kernel 2, stride 2 and ones (nearest), or kernel 4, stride 2, "
      + "padding 1 and the tent (linear). The guide's page “Upsampling” explains it.",
    layer: ({ name }) => `${name} is no layer that the explorer knows. It reads ConvTranspose1d and 2d of `
      + "PyTorch, Conv1DTranspose and Conv2DTranspose of Keras, and ConvTranspose of Flax.",
    rank: ({ rank }) => `The layer has ${rank} axes; the explorer shows 1 or 2.`,
    many: ({ names }) => `The line gives more arguments than the explorer knows by their place: ${names.join(", ")}. `
      + "Write the others with their names.",
    missing: ({ name }) => `The line gives no ${name}, which the layer needs.`,
    variable: ({ name, given }) => `The explorer does not know the value of ${given}. Write a number for ${name}.`,
    axes: ({ name, given, rank }) => `${name}=${given} has too many or too few numbers: give one`
      + `${rank > 1 ? `, or one for each of the ${rank} axes` : ""}.`,
    range: ({ name, given, least, most }) => `${name}=${given} was not taken: give whole numbers from ${least} to ${most}.`,
    extra: ({ name, given, stride, dilation }) => `${name}=${given} is not possible: it must be smaller than the stride `
      + `(${stride}) or than the dilation (${dilation}). Give at most ${Math.max(stride, dilation) - 1}.`,
    mode: ({ name, given }) => `${name}=${given} is not possible: PyTorch's transposed convolutions take "zeros" only.`,
    keras: ({ name, given }) => `${name}=${given} is not possible: Keras takes "valid" and "same" here.`,
    flax: ({ name, given }) => `${name}=${given} was not taken: the explorer reads "SAME", "VALID", a whole number, and `
      + "a pair of numbers for each axis.",
    adds: () => "The padding of this layer adds zeros around the result, which the explorer does not show.",
    divided: ({ name, given, groups }) => `groups=${groups} does not divide ${name}=${given}.`,
  },
  compared: { keep: "Keep to compare", end: "End the comparison", before: "kept", now: "now" },
  differs: "differs", products: "products",
  shows: "z shows",
  shown: { values: "values", counts: "how many products" },
  step: { back: "previous", play: "play", pause: "pause", next: "next" },
  stamper: {
    play: "play the stamps", pause: "pause the stamps", scrub: "stamps put down", speed: "speed",
    down: (n, all) => `${n} of ${all}`,
  },
  share: "Copy link", copy: "Copy", copied: "Copied", uncopied: "Press Ctrl+C",
  views: {
    grids: "Input y, kernel w, result z", stamps: "Stamps: each element of y times the kernel",
    matrix: "The matrix C.T: vec(z) = C.T · vec(y)",
    zeros: "Zero insertion: a convolution with the flipped kernel",
    gradients: "Forward and back: C x, and the gradients for x and w",
    compared: "Two settings side by side", photo: "A photograph as y, and its z",
    counts: "Sizes and counts", code: "The same layer in code, and this state in other pages",
  },
  sizes: (a, [x, y] = sizesOf(a)) => `The convolution takes x (${x}) to y (${y}), `
    + `and its transpose takes y (${y}) to z (${x}).`,
  size: (all) => `z has s·(n − 1) + d·(k − 1) + 1 − ${all.every((x) => alike(x.padding)) ? "2·p" : "p − q"} + a = `
    + `${perAxis(all, sizeSum, (n) => `axis ${n}: `)} elements`
    + `${all.length > 1 && alike(all.map(inSize)) ? " along each axis" : ""}.`,
  relation: (all) => `y(i) meets z(j) at tap w(t) where j = s·i + d·t − p = `
    + `${perAxis(all, (x) => `${x.stride}·i + ${x.dilation}·t − ${x.low}`, (n) => `axis ${n}: `)}.`,
  hint: "Point at any cell, or move to it with Tab and the arrow keys: everything it is "
    + "connected to lights up. Click or Enter pins it, Escape releases it. In x, y and w, type "
    + "a number or a fraction to change the value.",
  cut: "Dashed cells are cut off by the padding.",
  zerosNote: (all, ends) => `Zeros between neighbours: s − 1 = ${ofAxes(all.map((x) => x.stride - 1))}. Zeros `
    + `before: span − 1 − p = ${ofAxes(ends.map(([low]) => low))}; after: span − 1 − p + a = `
    + `${ofAxes(ends.map(([, high]) => high))}, with the output padding a. Then an ordinary convolution with stride 1.`,
  gradientNote: "In training y stands for the gradient of the loss with respect to C x. Then C.T y is the gradient dx "
    + "for x, and dw, the gradient for w, adds up the same products y·x tap by tap.",
  x: (name, value, parts, z, back) => `${name} = ${value} enters C x through ${parts} ${parts === 1 ? "tap"
    : "taps"}, and its gradient ${z} = ${back} comes back through the same ones.`,
  Cx: (name, names, numbers, value, y) => (names.length
    ? `${name} = ${summed(names, ENGLISH.more)} = ${summed(numbers, ENGLISH.more)} = ${value}: it reads x through `
      + `the taps by which ${y} is stamped.`
    : `${name} = 0: it reads nothing but padding.`),
  dw: (name, names, numbers, value, w) => (names.length
    ? `${name} = ${summed(names, ENGLISH.more)} = ${summed(numbers, ENGLISH.more)} = ${value}: the gradient for `
      + `${w} has one product for each pair that this tap joins.`
    : `${name} = 0: this tap meets nothing but padding.`),
  negative: "A negative border: the crossed-out elements are not read.",
  folded: "Dashed cells are padding that copies elements of x: what is stamped there is added to the elements that "
    + "it copies, and so z is more than the sheet shows inside.",
  pairs: "w 0,1 joins channel 0 of y to channel 1 of z; behind the channels, an element's name has its place, the row first.",
  operation: "transposed convolution", convolution: "convolution",
  flipped: "w flipped", sum: "sum = z", unfolded: "sum, rim not yet folded back", group: (g) => `group ${g}`,
  value: (name) => `value of ${name}`,
  more: (n) => `${n} more`,
  z: (name, names, numbers, value, row) => (names.length
    ? `${name} = ${summed(names, ENGLISH.more)} = ${summed(numbers, ENGLISH.more)} = ${value}: `
      + `row ${row} of C.T.`
    : `${name} = 0: no stamp reaches it; row ${row} of C.T is zero.`),
  y: (name, value, parts, cut, column) => `${name} = ${value} stamps ${factor(value)} times the `
    + `kernel: ${parts} of its products land in z${cut ? `, ${cut} are cut off` : ""}. `
    + `Column ${column} of C.T.`,
  w: (name, value, parts, cut) => `${name} = ${value} stands ${parts} times in C.T, once for each `
    + `product that it has in z${cut ? `; ${cut} more are cut off` : ""}.`,
  entry: (z, y, w, value, product, row, column) => `Row ${row}, column ${column} of C.T is ${w} = `
    + `${value}: ${y}·${w} = ${product} is one of the products of ${z}.`,
  several: (z, y, taps, value, row, column) => `Row ${row}, column ${column} of C.T is ${taps} = ${value}: `
    + `${y} reaches ${z} through several taps, some of them by way of the padding.`,
  nothing: (z, y, row, column) => `Row ${row}, column ${column} of C.T is 0: no tap takes ${y} to `
    + `${z}.`,
  blocks: (z, y, row, column) => `Row ${row}, column ${column} of C.T is 0: ${y} and ${z} belong to `
    + "different groups.",
  off: (y, w, product) => `${y}·${w} = ${product} falls into the padding and is cut off.`,
  zero: "An inserted zero: it keeps the kernel's place and adds nothing.",
  border: "A zero of the border: it lets the flipped kernel reach beyond the rim.",
  unread: (name) => `${name} is outside of what the kernel reads: all its products are cut off.`,
  large: "This setting is too large to draw, so its sizes and counts are told below.",
  counted: (n) => `C has ${grouped(n.rows)} rows and ${grouped(n.columns)} columns, one for each element of y and of `
    + `z. ${grouped(n.products)} of its entries are not zero: so many products are added up, in C and in C.T`
    + `${n.all > n.products ? `; the padding cuts off ${grouped(n.all - n.products)} more` : ""}. An element of z is `
    + `the sum of ${n.fewest === n.most ? "" : `${grouped(n.fewest)} to `}${grouped(n.most)} products.`,
  photo: {
    y: "the picture that is taken for y", z: "the picture z that this setting makes of it",
    choose: "Another picture (it stays on your device): ",
    unread: "This file holds no picture that the browser can read.",
    even: (sum) => `Whatever the place of an element of z within a stride, its taps add up to ${sum}, so no grid shows.`,
    uneven: (sums) => `By the place of an element of z within a stride, its taps add up to ${sums.join(", ")}. These `
      + "sums differ, so the brightness alternates and a grid shows.",
  },
  tooLarge: (rows, columns) => `C.T has ${rows} × ${columns} = ${rows * columns} entries, more `
    + `than the ${MOST_ENTRIES} drawn here. Take a smaller y, stride or dilation, or fewer channels.`,
  oneStamp: (name) => `Too many stamps to draw at once: this is the one of ${name}. Point at `
    + "another element of y.",
  problems: {
    out_channels: (a) => `${a.groups} groups do not divide ${a.out_channels} channels of y. Give a multiple of `
      + `${a.groups}.`,
    in_channels: (a) => `${a.groups} groups do not divide ${a.in_channels} channels of z. Give a multiple of `
      + `${a.groups}.`,
    output_padding: (x, most) => `Output padding ${x.extra} is not possible: it must be `
      + `smaller than the stride (${x.stride}) or than the dilation (${x.dilation}). Give at most `
      + `${most}, or a larger stride.`,
    padding: (x, most) => `The result would have ${inSize(x)} elements along an axis: the padding `
      + `cuts off ${x.padding[0] + x.padding[1]} of ${natural(x) + x.extra}. Give a padding of at most `
      + `${most}, or a larger y or kernel.`,
  },
  refused: (label, least, most) => `${label} was not taken: give a whole number from ${least} to ${most}, or one `
    + "for each axis such as 3x4 (a padding may be 0:1, before and after).",
  refusedChoice: (label, choices) => `${label} was not taken: it must be one of ${choices.join(", ")}.`,
  refusedList: (name, size) => `The values of ${name} were not taken: give ${size} numbers from −${MOST_VALUE} to `
    + `${MOST_VALUE}, such as 3, 1/4 or 0.25.`,
  refusedLayer: "The channels of the layer were not taken: give those of y, those of z and the groups, such as 64,32,2.",
  refusedValue: `Give a number from −${MOST_VALUE} to ${MOST_VALUE}, such as 3, 1/4 or 0.25.`,
  unsaid: {
    groups: (name) => `${name} cannot express it: it has no groups; use tconvjax, or one layer for each `
      + "block of channels",
    mode: (name) => `${name} cannot express it: ${{
      Flax: "its CIRCULAR starts at another element, and it has no other mode that copies",
      "layers.nnx": "its CIRCULAR and REFLECT have one padding and one start each, and it has no mode that replicates",
    }[name] || "its transposed convolution has zeros for padding"}; use tconvjax`,
    dilation: (name) => `${name} cannot express it: its layers refuse a stride with a dilation; use `
      + "keras.ops.conv_transpose, or tconvjax",
    ends: (name) => `${name} cannot express it: it cuts one number off both ends, and its output_padding gives `
      + "some of the last elements back, fewer than the stride or the dilation; use padding=0 there and crop or "
      + "pad the result",
    padding: (name) => `${name} cannot express it: it has 'valid' and 'same' with an output_padding `
      + "below the stride; use padding='valid' and crop the result with keras.layers.Cropping1D, "
      + "2D or 3D",
  },
  layouts: (y, w, bias) => `y ${y}, kernel ${w}${bias && `, bias ${bias}`}`,
  lines: { fence: "fence", picture: "picture", iframe: "iframe" },
  copyThe: (name) => `Copy the ${name}`,
  saved: "save the view",
  copyOf: (name) => `Copy the line for ${name}`,
};

const CHINESE = {
  between: "",
  title: "转置卷积探索器",
  controls: {
    dimension: "维数", out_size: "y 的尺寸", kernel: "卷积核", stride: "步幅", padding: "填充",
    output_padding: "输出填充", dilation: "膨胀", groups: "分组",
    out_channels: "y 的通道", in_channels: "z 的通道", padding_mode: "填充方式",
  },
  modes: { zeros: "零", circular: "循环", reflect: "镜像", replicate: "复制边缘" },
  copies: {
    circular: "j 超出 z 时，从另一端重新进入。",
    reflect: "j 超出 z 时，以首末元素为轴做镜像。",
    replicate: "j 超出 z 时，由首元素或末元素代替。",
  },
  typed: (label) => `${label}（键入）`,
  typing: "一个数，或每个轴一个，例如 3x4",
  axes: (n) => `${n} 维`,
  example: "示例",
  examples: {
    "": "请选择", checkerboard: "棋盘效应：步幅 2，卷积核 3", shuffle: "无重叠：卷积核 = 步幅",
    padding: "填充裁掉边缘", extra: "输出填充", dilation: "膨胀卷积核", gaps: "空隙：步幅大于卷积核",
    line: "一维", groups: "两个分组", channels: "两个通道到两个通道",
  },
  fold: { controls: "更多设置", views: "更多设置和视图" },
  open: "在探索器中打开",
  preset: "卷积核取值",
  presets: { "": "1 到 9", ones: "全 1", tent: "线性插值（帐篷形）", sobel: "Sobel", random: "随机",
    own: "自定" },
  paste: "粘贴一个层",
  pasted: "nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)",
  read: "已采用这个层的设置，y 的尺寸不变。",
  notShown: {
    channels: ({ ins, outs }) => `当前的层有 ${ins} 个输入通道、${outs} 个输出通道，这里只画出其中一对。每一对通道都有`
      + "各自的卷积核，同一输出通道上各输入通道的结果相加。",
    channelsOfGroups: ({ ins, outs, groups }) => `当前的层有 ${ins} 个输入通道、${outs} 个输出通道，分为 ${groups} 组，`
      + "这里每组只画出一个通道。组内每一对通道都有各自的卷积核，同一输出通道上组内各输入通道的结果相加。",
    groups: ({ groups }) => `当前的层有 ${groups} 组，这里只画出其中一组。`,
  },
  notRead: {
    call: () => "这一行没有调用任何层。请粘贴一个层，例如 nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)。",
    open: () => "这个调用不是完整的 Python：括号或逗号有缺少或多余。",
    forward: ({ name }) => `${name} 是普通卷积。请粘贴它的转置：PyTorch 的 ConvTranspose1d、ConvTranspose2d，Keras 的 `
      + "Conv1DTranspose、Conv2DTranspose，或 Flax 的 ConvTranspose。",
    fixed: ({ name }) => `${name} 是插值，没有可学习的卷积核。它是权重固定的转置卷积：放大 2 倍时，除边缘外相当于`
      + "卷积核 2、步幅 2、全 1（最近邻），或卷积核 4、步幅 2、填充 1、帐篷形（线性）。详见教程“上采样”一页。",
    layer: ({ name }) => `不认识 ${name}。可以读取 PyTorch 的 ConvTranspose1d、ConvTranspose2d，Keras 的 `
      + "Conv1DTranspose、Conv2DTranspose，以及 Flax 的 ConvTranspose。",
    rank: ({ rank }) => `这个层有 ${rank} 个空间轴，这里只能显示 1 个或 2 个。`,
    many: ({ names }) => `不写名字的参数太多：按位置只认得 ${names.join("、")}。请给其余参数写上名字。`,
    missing: ({ name }) => `这一行缺少这个层必需的参数 ${name}。`,
    variable: ({ name, given }) => `无法知道 ${given} 的值，请把 ${name} 写成数字。`,
    axes: ({ name, given, rank }) => `${name}=${given} 的个数不对：请给出一个数`
      + `${rank > 1 ? `，或 ${rank} 个轴各一个` : ""}。`,
    range: ({ name, given, least, most }) => `未采用 ${name}=${given}：请给出 ${least} 到 ${most} 的整数。`,
    extra: ({ name, given, stride, dilation }) => `${name} 不能是 ${given}：它必须小于步幅（${stride}）或膨胀（${dilation}），`
      + `最多 ${Math.max(stride, dilation) - 1}。`,
    mode: ({ name, given }) => `${name} 不能是 ${given}：PyTorch 的转置卷积只接受 "zeros"。`,
    keras: ({ name, given }) => `${name} 不能是 ${given}：Keras 在这里只接受 "valid" 和 "same"。`,
    flax: ({ name, given }) => `未采用 ${name}=${given}：这里能读取 "SAME"、"VALID"、一个整数，或每个轴一对数。`,
    adds: () => "这个层的填充会在结果四周补零，这里无法显示。",
    divided: ({ name, given, groups }) => `groups=${groups} 不能整除 ${name}=${given}。`,
  },
  compared: { keep: "保留以便对比", end: "结束对比", before: "保留的", now: "当前" },
  differs: "不同", products: "乘积个数",
  shows: "z 显示",
  shown: { values: "数值", counts: "乘积个数" },
  step: { back: "上一个", play: "播放", pause: "暂停", next: "下一个" },
  stamper: {
    play: "播放盖章", pause: "暂停盖章", scrub: "已盖下的印章", speed: "速度",
    down: (n, all) => `${n} / ${all}`,
  },
  share: "复制链接", copy: "复制", copied: "已复制", uncopied: "请按 Ctrl+C",
  views: {
    grids: "输入 y、卷积核 w、结果 z", stamps: "印章：y 的每个元素乘以卷积核",
    matrix: "矩阵 C.T：vec(z) = C.T · vec(y)", zeros: "插零：与翻转后的卷积核做普通卷积",
    gradients: "前向与反向：C x，以及 x 与 w 的梯度",
    compared: "两个设置的对比", photo: "以一张图片为 y，以及得到的 z", counts: "尺寸与个数",
    code: "同一层的代码，以及把当前状态放到其他页面",
  },
  sizes: (a, [x, y] = sizesOf(a)) => `卷积把 x（${x}）变成 y（${y}），转置卷积把 y（${y}）变成 z（${x}）。`,
  size: (all) => `z ${all.length > 1 && alike(all.map(inSize)) ? "每个轴" : ""}有 s·(n − 1) + d·(k − 1) + 1 − `
    + `${all.every((x) => alike(x.padding)) ? "2·p" : "p − q"} + a = ${perAxis(all, sizeSum, (n) => `轴 ${n}：`, "；")} 个元素。`,
  relation: (all) => `当 j = s·i + d·t − p = ${perAxis(all, (x) => `${x.stride}·i + ${x.dilation}·t − ${x.low}`,
    (n) => `轴 ${n}：`, "；")} 时，y(i) 通过 w(t) 与 z(j) 相连。`,
  hint: "把指针放到任意格子上，或用 Tab 键和方向键移动过去，各视图中与它相连的部分会同时亮起。"
    + "单击或按 Enter 键固定，按 Esc 键取消。在 x、y 和 w 中直接输入数字或分数即可修改数值。",
  cut: "虚线格子会被填充裁掉。",
  zerosNote: (all, ends) => `相邻元素之间插入 s − 1 = ${ofAxes(all.map((x) => x.stride - 1))} 个零；前边界补 `
    + `跨度 − 1 − p = ${ofAxes(ends.map(([low]) => low))} 个零，后边界补跨度 − 1 − p + a = `
    + `${ofAxes(ends.map(([, high]) => high))} 个，a 是输出填充。然后做步幅为 1 的普通卷积。`,
  gradientNote: "训练时，把 y 看作损失对 C x 的梯度：C.T y 就是 x 的梯度 dx；把同样的乘积 y·x 按权重分别相加，"
    + "就得到 w 的梯度 dw。",
  x: (name, value, parts, z, back) => `${name} = ${value} 通过 ${parts} 个权重进入 C x，它的梯度 ${z} = ${back} `
    + "也经由这些权重传回。",
  Cx: (name, names, numbers, value, y) => (names.length
    ? `${name} = ${summed(names, CHINESE.more)} = ${summed(numbers, CHINESE.more)} = ${value}：它读取 x 所用的权重，`
      + `正是 ${y} 盖章所用的权重。`
    : `${name} = 0：它只读到填充。`),
  dw: (name, names, numbers, value, w) => (names.length
    ? `${name} = ${summed(names, CHINESE.more)} = ${summed(numbers, CHINESE.more)} = ${value}：${w} 连接的每一对元素`
      + "在它的梯度中各有一个乘积。"
    : `${name} = 0：这个权重只碰到填充。`),
  negative: "边界为负：划掉的元素不会被读取。",
  folded: "虚线格子是复制 x 中元素的填充：盖在那里的内容会加回被复制的元素，所以 z 不只是图中内部的总和。",
  pairs: "w 0,1 连接 y 的通道 0 和 z 的通道 1；元素名称里，通道之后是位置，行在前。",
  operation: "转置卷积", convolution: "卷积",
  flipped: "翻转后的 w", sum: "总和 = z", unfolded: "总和（边缘尚未折回）", group: (g) => `第 ${g} 组`,
  value: (name) => `${name} 的值`,
  more: (n) => `另外 ${n} 项`,
  z: (name, names, numbers, value, row) => (names.length
    ? `${name} = ${summed(names, CHINESE.more)} = ${summed(numbers, CHINESE.more)} = ${value}：`
      + `C.T 的${nth(row)}行。`
    : `${name} = 0：没有印章覆盖它，C.T 的${nth(row)}行全为零。`),
  y: (name, value, parts, cut, column) => `${name} = ${value} 盖下 ${factor(value)} 倍的卷积核：`
    + `${parts} 个乘积落在 z 中${cut ? `，${cut} 个被裁掉` : ""}。C.T 的${nth(column)}列。`,
  w: (name, value, parts, cut) => `${name} = ${value} 在 C.T 中出现 ${parts} 次，z 中的每个乘积对应一次`
    + `${cut ? `；另有 ${cut} 个被裁掉` : ""}。`,
  entry: (z, y, w, value, product, row, column) => `C.T 的${nth(row)}行、${nth(column)}列是 ${w} = ${value}：`
    + `${y}·${w} = ${product} 是 ${z} 的乘积之一。`,
  several: (z, y, taps, value, row, column) => `C.T 的${nth(row)}行、${nth(column)}列是 ${taps} = ${value}：${y} 通过多个权重`
    + `到达 ${z}，其中有的经由填充。`,
  nothing: (z, y, row, column) => `C.T 的${nth(row)}行、${nth(column)}列是 0：没有权重连接 ${y} 与 ${z}。`,
  blocks: (z, y, row, column) => `C.T 的${nth(row)}行、${nth(column)}列是 0：${y} 与 ${z} 属于不同的组。`,
  off: (y, w, product) => `${y}·${w} = ${product} 落在填充区，被裁掉。`,
  zero: "插入的零：只占位置，不增加任何值。",
  border: "边界上的零：让翻转后的卷积核可以伸出边缘。",
  unread: (name) => `${name} 在读取范围之外：它的乘积全部被裁掉。`,
  large: "这个设置太大，无法画出，下面给出它的尺寸和个数。",
  counted: (n) => `C 有 ${grouped(n.rows)} 行、${grouped(n.columns)} 列，分别对应 y 和 z 的元素。其中 `
    + `${grouped(n.products)} 个元素不为零，C 和 C.T 各要把这么多个乘积相加`
    + `${n.all > n.products ? `；另有 ${grouped(n.all - n.products)} 个被填充裁掉` : ""}。z 的每个元素是 `
    + `${n.fewest === n.most ? "" : `${grouped(n.fewest)} 到 `}${grouped(n.most)} 个乘积之和。`,
  photo: {
    y: "用作 y 的图片", z: "由当前设置得到的图片 z",
    choose: "换一张图片（不会离开你的设备）：",
    unread: "浏览器无法把这个文件读作图片。",
    even: (sum) => `无论 z 的元素位于步幅内的哪个位置，所用的权重之和都是 ${sum}，所以不会出现网格。`,
    uneven: (sums) => `按 z 的元素在步幅内的位置，所用的权重之和分别是 ${sums.join("、")}。它们不相等，所以亮度交替变化，`
      + "图片上会出现网格。",
  },
  tooLarge: (rows, columns) => `C.T 有 ${rows} × ${columns} = ${rows * columns} 个元素，超过这里能画的 `
    + `${MOST_ENTRIES} 个。请减小 y 的尺寸、步幅、膨胀或通道数。`,
  oneStamp: (name) => `印章太多，不能同时画出：这里是 ${name} 的印章。请指向 y 的其他元素。`,
  problems: {
    out_channels: (a) => `y 的 ${a.out_channels} 个通道不能分成 ${a.groups} 组。请取 ${a.groups} 的倍数。`,
    in_channels: (a) => `z 的 ${a.in_channels} 个通道不能分成 ${a.groups} 组。请取 ${a.groups} 的倍数。`,
    output_padding: (x, most) => `输出填充不能是 ${x.extra}：它必须小于步幅（${x.stride}）或膨胀`
      + `（${x.dilation}）。请取不超过 ${most} 的值，或增大步幅。`,
    padding: (x, most) => `结果沿一个轴会有 ${inSize(x)} 个元素：填充要从 ${natural(x) + x.extra} `
      + `个中裁掉 ${x.padding[0] + x.padding[1]} 个。请把填充取为不超过 ${most}，或增大 y 的尺寸或卷积核。`,
  },
  refused: (label, least, most) => `“${label}”未被采用：请给出 ${least} 到 ${most} 的整数，或每个轴一个，例如 3x4`
    + "（填充可以写成 0:1，即前后各不相同）。",
  refusedChoice: (label, choices) => `“${label}”未被采用：只能是 ${choices.join("、")} 之一。`,
  refusedList: (name, size) => `${name} 的值未被采用：请给出 ${size} 个 −${MOST_VALUE} 到 ${MOST_VALUE} 之间的数，`
    + "例如 3、1/4 或 0.25。",
  refusedLayer: "层的通道未被采用：请依次给出 y 的通道数、z 的通道数和组数，例如 64,32,2。",
  refusedValue: `请输入 −${MOST_VALUE} 到 ${MOST_VALUE} 之间的数，例如 3、1/4 或 0.25。`,
  unsaid: {
    groups: (name) => `${name} 无法表达：它没有分组；请使用 tconvjax，或为每组通道各用一层`,
    mode: (name) => `${name} 无法表达：${{
      Flax: "它只有起点固定的 CIRCULAR", "layers.nnx": "它只有填充大小和起点固定的 CIRCULAR 和 REFLECT",
    }[name] || "它的转置卷积只能填充零"}；请使用 tconvjax`,
    dilation: (name) => `${name} 无法表达：它的层不允许步幅与膨胀同时大于 1；请使用 `
      + "keras.ops.conv_transpose 或 tconvjax",
    ends: (name) => `${name} 无法表达：它在两端裁掉同样多的元素，output_padding 只能补回末尾的一部分，少于步幅或膨胀；`
      + "请在那里取 padding=0，再裁剪或补齐结果",
    padding: (name) => `${name} 无法表达：它只有 'valid' 和 'same'，以及小于步幅的 output_padding；`
      + "请用 padding='valid'，再用 keras.layers.Cropping1D、2D 或 3D 裁剪结果",
  },
  layouts: (y, w, bias) => `y ${y}，卷积核 ${w}${bias && `，偏置 ${bias}`}`,
  lines: { fence: "代码栅栏", picture: "图片", iframe: "iframe" },
  copyThe: (name) => `复制${name}`,
  saved: "保存视图",
  copyOf: (name) => `复制 ${name} 的代码`,
};

const WORDS = { en: ENGLISH, zh: CHINESE };
