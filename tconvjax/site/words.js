// What the explorer says, in English and in Chinese. Sentences are made of numbers and of names
// such as z(1,1); they go into the page as text, never as HTML.

// A sum of at most so many terms; the rest is counted.
const MOST_TERMS = 6;
function summed(terms, more) {
  const shown = terms.slice(0, MOST_TERMS).join(" + ").replace(/\+ -/g, "− ");
  return terms.length > MOST_TERMS ? `${shown} + ${more(terms.length - MOST_TERMS)}` : shown;
}
// The size of an array with so many elements along each axis.
const square = (a, size) => Array(a.dimension).fill(size).join(" × ");
// A factor that is negative needs brackets.
const factor = (n) => (n < 0 ? `(${n})` : String(n));

const ENGLISH = {
  title: "Transposed convolution explorer",
  controls: {
    dimension: "dimension", out_size: "size of y", kernel: "kernel", stride: "stride",
    padding: "padding", output_padding: "output padding", dilation: "dilation", groups: "groups",
  },
  axes: (n) => `${n}-D`,
  example: "example",
  examples: {
    "": "choose one", checkerboard: "checkerboard: stride 2, kernel 3", shuffle:
    "no overlap: kernel = stride", padding: "padding cuts the rim", extra: "output padding",
    dilation: "dilated kernel", gaps: "gaps: stride above kernel", line: "a line: 1-D",
    groups: "two groups",
  },
  shows: "z shows",
  shown: { values: "values", counts: "how many products" },
  step: { back: "previous", play: "play", pause: "pause", next: "next" },
  share: "Copy link", copy: "Copy", copied: "Copied", uncopied: "Press Ctrl+C",
  views: {
    grids: "Input y, kernel w, result z", stamps: "Stamps: each element of y times the kernel",
    matrix: "The matrix C.T: vec(z) = C.T · vec(y)",
    zeros: "Zero insertion: a convolution with the flipped kernel",
    code: "The same layer in code",
  },
  sizes: (a) => `The convolution takes x (${square(a, inSize(a))}) to y (${square(a, a.out_size)}), `
    + `and its transpose takes y (${square(a, a.out_size)}) to z (${square(a, inSize(a))}).`,
  size: (a) => `z has s·(n − 1) + d·(k − 1) + 1 − 2·p + a = ${a.stride}·(${a.out_size} − 1) + `
    + `${a.dilation}·(${a.kernel} − 1) + 1 − 2·${a.padding} + ${a.output_padding} = ${inSize(a)}`
    + `${a.dimension === 2 ? " elements along each axis" : " elements"}.`,
  relation: (a) => `y(i) meets z(j) at tap w(t) where j = s·i + d·t − p = ${a.stride}·i + `
    + `${a.dilation}·t − ${a.padding}.`,
  hint: "Point at any cell, or move to it with Tab and the arrow keys: everything it is "
    + "connected to lights up. Click or Enter pins it, Escape releases it. In y and w, type a "
    + "number to change the value.",
  cut: "Dashed cells are cut off by the padding.",
  zerosNote: (a, [low, high]) => `Zeros between neighbours: s − 1 = ${a.stride - 1}. Zeros of the `
    + `border: span − 1 − p = ${low} before, and with the output padding ${high} after. Then an `
    + "ordinary convolution with stride 1.",
  negative: "A negative border: the crossed-out elements are not read.",
  flipped: "w flipped", sum: "sum = z", group: (g) => `group ${g}`,
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
  nothing: (z, y, row, column) => `Row ${row}, column ${column} of C.T is 0: no tap takes ${y} to `
    + `${z}.`,
  blocks: (z, y, row, column) => `Row ${row}, column ${column} of C.T is 0: ${y} and ${z} belong to `
    + "different groups.",
  off: (y, w, product) => `${y}·${w} = ${product} falls into the padding and is cut off.`,
  zero: "An inserted zero: it keeps the kernel's place and adds nothing.",
  border: "A zero of the border: it lets the flipped kernel reach beyond the rim.",
  unread: (name) => `${name} is outside of what the kernel reads: all its products are cut off.`,
  tooLarge: (rows, columns) => `C.T has ${rows} × ${columns} = ${rows * columns} entries, more `
    + `than the ${MOST_ENTRIES} drawn here. Take a smaller y, stride, dilation or fewer groups.`,
  oneStamp: (name) => `Too many stamps to draw at once: this is the one of ${name}. Point at `
    + "another element of y.",
  problems: {
    output_padding: (a, most) => `Output padding ${a.output_padding} is not possible: it must be `
      + `smaller than the stride (${a.stride}) or than the dilation (${a.dilation}). Give at most `
      + `${most}, or a larger stride.`,
    padding: (a, size, most) => `The result would have ${size} elements along an axis: the padding `
      + `cuts off ${2 * a.padding} of ${natural(a) + a.output_padding}. Give a padding of at most `
      + `${most}, or a larger y or kernel.`,
  },
  refused: (label, least, most) => `${label} was not taken: it must be a whole number from ${least} `
    + `to ${most}.`,
  refusedList: (name, size) => `The values of ${name} were not taken: give ${size} whole numbers `
    + `from −${MOST_VALUE} to ${MOST_VALUE}.`,
  refusedValue: `Give a whole number from −${MOST_VALUE} to ${MOST_VALUE}.`,
  lowered: (label, from, to) => `${label} went from ${from} to ${to}, the most that 2-D shows here.`,
  unsaid: {
    groups: (name) => `${name} cannot express it: it has no groups; use tconvjax, or one layer for each `
      + "block of channels",
    dilation: (name) => `${name} cannot express it: its layers refuse a stride with a dilation; use `
      + "keras.ops.conv_transpose, or tconvjax",
    padding: (name) => `${name} cannot express it: it has 'valid' and 'same' with an output_padding `
      + "below the stride; use padding='valid' and crop the result with keras.layers.Cropping1D, "
      + "2D or 3D",
  },
  layouts: (y, w) => `y ${y}, kernel ${w}`,
  copyOf: (name) => `Copy the line for ${name}`,
};

const CHINESE = {
  title: "转置卷积探索器",
  controls: {
    dimension: "维数", out_size: "y 的尺寸", kernel: "卷积核", stride: "步幅", padding: "填充",
    output_padding: "输出填充", dilation: "膨胀", groups: "分组",
  },
  axes: (n) => `${n} 维`,
  example: "示例",
  examples: {
    "": "请选择", checkerboard: "棋盘效应：步幅 2，卷积核 3", shuffle: "无重叠：卷积核 = 步幅",
    padding: "填充裁掉边缘", extra: "输出填充", dilation: "膨胀卷积核", gaps: "空隙：步幅大于卷积核",
    line: "一维", groups: "两个分组",
  },
  shows: "z 显示",
  shown: { values: "数值", counts: "乘积个数" },
  step: { back: "上一个", play: "播放", pause: "暂停", next: "下一个" },
  share: "复制链接", copy: "复制", copied: "已复制", uncopied: "请按 Ctrl+C",
  views: {
    grids: "输入 y、卷积核 w、结果 z", stamps: "印章：y 的每个元素乘以卷积核",
    matrix: "矩阵 C.T：vec(z) = C.T · vec(y)", zeros: "插零：与翻转后的卷积核做普通卷积",
    code: "同一层的代码",
  },
  sizes: (a) => `卷积把 x（${square(a, inSize(a))}）变成 y（${square(a, a.out_size)}），`
    + `转置卷积把 y（${square(a, a.out_size)}）变成 z（${square(a, inSize(a))}）。`,
  size: (a) => `z ${a.dimension === 2 ? "每个轴" : ""}有 s·(n − 1) + d·(k − 1) + 1 − 2·p + a = `
    + `${a.stride}·(${a.out_size} − 1) + ${a.dilation}·(${a.kernel} − 1) + 1 − 2·${a.padding} + `
    + `${a.output_padding} = ${inSize(a)} 个元素。`,
  relation: (a) => `当 j = s·i + d·t − p = ${a.stride}·i + ${a.dilation}·t − ${a.padding} 时，`
    + "y(i) 通过 w(t) 与 z(j) 相连。",
  hint: "把指针放到任意格子上，或用 Tab 键和方向键移动过去，各视图中与它相连的部分会同时亮起。"
    + "单击或按 Enter 键固定，按 Esc 键取消。在 y 和 w 中直接输入数字即可修改数值。",
  cut: "虚线格子会被填充裁掉。",
  zerosNote: (a, [low, high]) => `相邻元素之间插入 s − 1 = ${a.stride - 1} 个零；前边界补 `
    + `跨度 − 1 − p = ${low} 个零，后边界加上输出填充共 ${high} 个。然后做步幅为 1 的普通卷积。`,
  negative: "边界为负：划掉的元素不会被读取。",
  flipped: "翻转后的 w", sum: "总和 = z", group: (g) => `第 ${g} 组`,
  value: (name) => `${name} 的值`,
  more: (n) => `另外 ${n} 项`,
  z: (name, names, numbers, value, row) => (names.length
    ? `${name} = ${summed(names, CHINESE.more)} = ${summed(numbers, CHINESE.more)} = ${value}：`
      + `C.T 的第 ${row} 行。`
    : `${name} = 0：没有印章覆盖它，C.T 的第 ${row} 行全为零。`),
  y: (name, value, parts, cut, column) => `${name} = ${value} 盖下 ${factor(value)} 倍的卷积核：`
    + `${parts} 个乘积落在 z 中${cut ? `，${cut} 个被裁掉` : ""}。C.T 的第 ${column} 列。`,
  w: (name, value, parts, cut) => `${name} = ${value} 在 C.T 中出现 ${parts} 次，z 中的每个乘积对应一次`
    + `${cut ? `；另有 ${cut} 个被裁掉` : ""}。`,
  entry: (z, y, w, value, product, row, column) => `C.T 第 ${row} 行第 ${column} 列是 ${w} = ${value}：`
    + `${y}·${w} = ${product} 是 ${z} 的乘积之一。`,
  nothing: (z, y, row, column) => `C.T 第 ${row} 行第 ${column} 列是 0：没有权重连接 ${y} 与 ${z}。`,
  blocks: (z, y, row, column) => `C.T 第 ${row} 行第 ${column} 列是 0：${y} 与 ${z} 属于不同的组。`,
  off: (y, w, product) => `${y}·${w} = ${product} 落在填充区，被裁掉。`,
  zero: "插入的零：只占位置，不增加任何值。",
  border: "边界上的零：让翻转后的卷积核可以伸出边缘。",
  unread: (name) => `${name} 在读取范围之外：它的乘积全部被裁掉。`,
  tooLarge: (rows, columns) => `C.T 有 ${rows} × ${columns} = ${rows * columns} 个元素，超过这里能画的 `
    + `${MOST_ENTRIES} 个。请减小 y 的尺寸、步幅、膨胀或分组数。`,
  oneStamp: (name) => `印章太多，不能同时画出：这里是 ${name} 的印章。请指向 y 的其他元素。`,
  problems: {
    output_padding: (a, most) => `输出填充不能是 ${a.output_padding}：它必须小于步幅（${a.stride}）或膨胀`
      + `（${a.dilation}）。请取不超过 ${most} 的值，或增大步幅。`,
    padding: (a, size, most) => `结果每个轴会有 ${size} 个元素：填充要从 ${natural(a) + a.output_padding} `
      + `个中裁掉 ${2 * a.padding} 个。请把填充取为不超过 ${most}，或增大 y 的尺寸或卷积核。`,
  },
  refused: (label, least, most) => `“${label}”未被采用：它必须是 ${least} 到 ${most} 的整数。`,
  refusedList: (name, size) => `${name} 的值未被采用：请给出 ${size} 个 −${MOST_VALUE} 到 ${MOST_VALUE} `
    + "之间的整数。",
  refusedValue: `请输入 −${MOST_VALUE} 到 ${MOST_VALUE} 之间的整数。`,
  lowered: (label, from, to) => `“${label}”从 ${from} 变为 ${to}，这是二维时这里能显示的最大值。`,
  unsaid: {
    groups: (name) => `${name} 无法表达：它没有分组；请使用 tconvjax，或为每组通道各用一层`,
    dilation: (name) => `${name} 无法表达：它的层不允许步幅与膨胀同时大于 1；请使用 `
      + "keras.ops.conv_transpose 或 tconvjax",
    padding: (name) => `${name} 无法表达：它只有 'valid' 和 'same'，以及小于步幅的 output_padding；`
      + "请用 padding='valid'，再用 keras.layers.Cropping1D、2D 或 3D 裁剪结果",
  },
  layouts: (y, w) => `y ${y}，卷积核 ${w}`,
  copyOf: (name) => `复制 ${name} 的代码`,
};

const WORDS = { en: ENGLISH, zh: CHINESE };
