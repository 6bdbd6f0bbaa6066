"""The style sheet of the flame graph page, light and dark; the parts around the graph for other pages too."""

from typing import Final

_PAGE: Final = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #667085; --line: #e4e7ec; --paper: #fff; --card: #f8f9fb;
  --accent: #c2410c; --note: #fff7ed; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2c3340; --paper: #12151b;
  --card: #1a1f28; --accent: #fb923c; --note: #2a1c10; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 110rem; padding: 1rem 1.5rem 3rem; font: 15px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.35rem; margin: .2rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
.figures { font-weight: 400; font-size: 1.05rem; color: var(--soft); margin-left: .6rem; white-space: nowrap; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin-bottom: .6rem; }
a { color: var(--accent); }
table { border-collapse: collapse; width: 100%; max-width: 70rem; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: .85rem; }
td, th { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
th:not(:first-child), .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.name { overflow-wrap: anywhere; }
"""

FLAME: Final = """
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 0 0 .8rem; padding: .7rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; }
dt { font-size: .78rem; color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.note { margin: 0 0 .8rem; padding: .5rem 1rem; background: var(--note); border-left: 3px solid var(--accent); }
.tools { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .8rem;
  padding: .5rem 0; background: var(--paper); }
#search { font: inherit; width: 24rem; max-width: 100%; padding: .3rem .7rem; color: var(--ink);
  background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
#reset { font: inherit; padding: .25rem .8rem; color: #fff; background: #c2410c; border: 0; border-radius: 6px; }
.soft, output { color: var(--soft); }
.keys { margin-left: auto; font-size: .85rem; }
kbd { font: .85em ui-monospace, monospace; padding: 0 .35em; border: 1px solid var(--line); border-radius: 4px; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: 0 0 .4rem; font-size: .9rem; }
.legend i { display: inline-block; width: 1em; height: 1em; margin-right: .4em; vertical-align: -.12em;
  border-radius: 3px; }
#flame { min-height: 6rem; }
#flame .bars path { stroke: var(--paper) !important; cursor: pointer; }
#flame .bars text { pointer-events: none; }
#flame .nsewdrag { cursor: pointer; }
.name button { font: .88em ui-monospace, 'DejaVu Sans Mono', monospace; padding: 0; color: inherit; background: none;
  border: 0; cursor: pointer; text-align: left; overflow-wrap: anywhere; margin-right: .8rem; }
.name button:hover { color: var(--accent); text-decoration: underline; }
.name .soft { font-size: .8rem; }
@media print { .tools { display: none; } }
"""
"""Of the graph and what stands around it: facts, notes, search, legend. Needs the colours that a page defines."""

STYLE: Final = _PAGE + FLAME
"""Of a page that stands alone."""
