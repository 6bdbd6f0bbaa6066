"""What the flame graph page does in the browser: zoom by click, search, labels cut to the room there is.

Plotly draws; this script only decides which bars it gets. Bars outside the zoomed frame are left out, its ancestors
are cut to the visible range so that their labels stay readable, and names reach the page as text or escaped.
"""

from typing import Final

SCRIPT: Final = r"""
'use strict';
(() => {
  const figure = JSON.parse(document.getElementById('figure').textContent);
  const all = figure.data[0], layout = figure.layout;
  const div = document.getElementById('flame'), box = document.getElementById('search');
  const found = document.getElementById('found'), reset = document.getElementById('reset');
  const count = all.x.length, margin = layout.margin.l + layout.margin.r, least = 0.5, padding = 8;
  const pen = document.createElement('canvas').getContext('2d');
  pen.font = all.textfont.size + 'px ' + all.textfont.family;
  const charWidth = pen.measureText('m'.repeat(50)).width / 50;
  let zoomed = 0, matches = null, shown = [];

  // rows are depth first; end is the row after the last descendant
  const end = new Int32Array(count), parent = new Int32Array(count);
  for (let row = 0, open = []; row <= count; row++) {
    const depth = row < count ? all.y[row] : -1;
    while (open.length && all.y[open[open.length - 1]] >= depth) end[open.pop()] = row;
    if (row < count) parent[row] = open.length ? open[open.length - 1] : 0;
    open.push(row);
  }

  const escaped = text => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

  function fit(label, pixels) {
    const room = Math.floor((pixels - padding) / charWidth);
    if (label.length <= room) return escaped(label);
    return room < 3 ? '' : escaped(label.slice(0, room - 1)) + '…';
  }

  function fade(colour, share) {  // towards a light grey, so that dark text stays readable on it, at night too
    const mixed = [1, 3, 5].map((at, channel) =>
      Math.round(parseInt(colour.slice(at, at + 2), 16) * (1 - share) + [226, 223, 220][channel] * share));
    return `rgb(${mixed})`;
  }

  function draw() {
    const width = div.clientWidth, low = all.base[zoomed], span = all.x[zoomed] || 1, high = low + span;
    const scale = (width - margin) / span;
    const bars = {base: [], x: [], y: [], text: [], hovertext: [], color: []}, thin = [];
    shown = [];
    let deepest = 3;
    const add = (row, depth, from, to, text, hover, colour) => {
      shown.push(row);
      deepest = Math.max(deepest, depth);
      bars.base.push(from);
      bars.x.push(to - from);
      bars.y.push(depth);
      bars.text.push(text);
      bars.hovertext.push(hover);
      bars.color.push(colour);
    };
    const flush = run => {  // neighbours too thin to draw, as one pale bar
      if (run && (run.to - run.from) * scale >= 1) {
        const hover = `${run.count} frames too thin to draw: zoom in`;
        add(parent[run.row], all.y[run.row], run.from, run.to, '', hover, '#e2dfdc');
      }
    };
    for (let row = 0; row < count; row++) {
      const isInside = row >= zoomed && row < end[zoomed], isAbove = row < zoomed && end[row] > zoomed;
      if (!isInside && !isAbove) continue;
      const depth = all.y[row], from = Math.max(all.base[row], low), to = Math.min(all.base[row] + all.x[row], high);
      const pixels = (to - from) * scale, run = thin[depth];
      if (pixels < least && row) {
        if (run && parent[run.row] === parent[row] && (from - run.to) * scale < 1) {
          run.to = to;
          run.count++;
        } else {
          flush(run);
          thin[depth] = {row, from, to, count: 1};
        }
        continue;
      }
      const faded = matches && !matches[row] ? 0.8 : isAbove && !matches ? 0.5 : 0;
      const colour = matches && matches[row] ? '#a78bfa' : fade(all.marker.color[row], faded);
      add(row, depth, from, to, fit(all.customdata[row][0], pixels), all.hovertext[row], colour);
    }
    thin.forEach(flush);
    const rows = deepest + 1;
    const pixelsPerRow = (layout.height - layout.margin.t - layout.margin.b) / (layout.yaxis.range[0] + 0.5);
    Plotly.react(div, [{
      ...all, base: bars.base, x: bars.x, y: bars.y, text: bars.text, hovertext: bars.hovertext, customdata: null,
      constraintext: 'none', marker: {color: bars.color, line: all.marker.line},
    }], {
      ...layout, width, height: rows * pixelsPerRow + layout.margin.t + layout.margin.b, dragmode: false,
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', uniformtext: {},
      xaxis: {...layout.xaxis, range: [low, high], fixedrange: true},
      yaxis: {...layout.yaxis, range: [rows - 0.5, -0.5]},
    }, {displayModeBar: false, responsive: false, doubleClick: false});
    reset.hidden = zoomed === 0;
  }

  function pattern(text) {
    try { return new RegExp(text, 'i'); }
    catch { return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i'); }
  }

  function search(test) {
    matches = test && all.customdata.map((texts, row) => row > 0 && test(texts[1]));
    found.textContent = '';
    if (matches) {
      let sum = 0, frames = 0;
      for (let row = 0, until = 0; row < count; row++) {
        if (!matches[row]) continue;
        frames++;
        if (row >= until) { sum += all.x[row]; until = end[row]; }  // a match inside a match counts once
      }
      const share = all.x[0] ? 100 * sum / all.x[0] : 0;
      const counted = `${frames} frame${frames > 1 ? 's' : ''}, ${share.toFixed(1)} % of the total`;
      found.textContent = frames ? counted : 'no match';
    }
    draw();
  }

  function zoom(row) { zoomed = row; draw(); }

  draw();
  div.on('plotly_click', event => zoom(shown[event.points[0].pointIndex]));
  box.addEventListener('input', () => {
    const expression = box.value && pattern(box.value);
    search(expression && (name => expression.test(name)));
  });
  reset.addEventListener('click', () => zoom(0));
  for (const button of document.querySelectorAll('[data-name]')) {
    button.addEventListener('click', () => {
      box.value = button.dataset.name;
      search(name => name === button.dataset.name);
      window.scrollTo({top: 0, behavior: 'smooth'});
    });
  }
  document.addEventListener('keydown', event => {
    if (event.key === '/' && document.activeElement !== box) { event.preventDefault(); box.focus(); box.select(); }
    if (event.key !== 'Escape') return;
    if (box.value) { box.value = ''; search(null); } else if (zoomed) zoom(0);
    box.blur();
  });
  let width = div.clientWidth;
  window.addEventListener('resize', () => { if (div.clientWidth !== width) { width = div.clientWidth; draw(); } });
})();
"""
