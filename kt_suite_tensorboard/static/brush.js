// Parallel coordinates: the trials that pass through boxes drawn over the axes; all others step back.

// `selections` are Plotly's: boxes with corners (x0, y0) and (x1, y1). Axes stand at 0, 1, 2, ...
export function brushed(traces, selections, color) {
  const boxes = selections.map(boxOf).filter((box) => box.first <= box.last);
  if (boxes.length === 0) return traces;
  const faint = [];
  const kept = traces.map((trace) => {
    const [inside, outside] = [empty(trace), empty(trace)];
    for (const [start, end] of lines(trace)) {
      const values = trace.y.slice(start, end);
      const passes = boxes.every((box) => values.slice(box.first, box.last + 1).every((y) => box.low <= y && y <= box.high));
      append(passes ? inside : outside, trace, start, end);
    }
    faint.push({ ...outside, line: { ...trace.line, color, width: 1 }, opacity: 0.35, hoverinfo: "skip", hovertemplate: null });
    return inside;
  });
  return [...faint, ...kept];
}

function boxOf({ x0, x1, y0, y1 }) {
  const first = Math.max(0, Math.ceil(Math.min(x0, x1)));
  return { first, last: Math.floor(Math.max(x0, x1)), low: Math.min(y0, y1), high: Math.max(y0, y1) };
}

// The lines of a trace, which has gaps between them: where each begins and ends.
function* lines(trace) {
  let start = 0;
  for (let index = 0; index < trace.x.length; index += 1) {
    if (trace.x[index] !== null) continue;
    yield [start, index];
    start = index + 1;
  }
}

function empty(trace) {
  return { ...trace, x: [], y: [], customdata: [], text: [] };
}

function append(part, trace, start, end) {
  for (const name of ["x", "y", "customdata", "text"]) part[name].push(...trace[name].slice(start, end + 1));
}
