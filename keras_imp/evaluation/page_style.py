"""The look of a page: plain CSS, in light and in dark."""

STYLE = """
:root {
  color-scheme: light dark;
  --text: #1b1b1b; --soft: #5c5c5c; --page: #ffffff; --line: #d8d8d8;
  --bar: #9ad3c0; --below: #f0c58e; --track: #eeeeee; --mark: #1b1b1b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e8e8e8; --soft: #a6a6a6; --page: #161616; --line: #3d3d3d;
    --bar: #1f7a5f; --below: #8a5a14; --track: #2a2a2a; --mark: #f2f2f2;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 66rem; padding: 1rem 1.25rem 4rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif;
}
h1 { font-size: 1.6rem; overflow-wrap: anywhere; }
h2 {
  font-size: 1.2rem; margin: 2.2rem 0 .7rem;
  border-bottom: 1px solid var(--line);
}
nav a { margin-right: 1rem; color: inherit; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td {
  text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word;
}
thead th, .facts th { color: var(--soft); font-weight: normal; }
.facts { width: auto; }
.facts th, .number { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.bar { min-width: 10rem; width: 30%; }
.track {
  position: relative; height: 1.1rem; margin-top: .2rem;
  background: var(--track); border-radius: 2px;
}
.track > i { position: absolute; top: 0; bottom: 0; left: 0; }
.track > .above { background: var(--bar); }
.track > .below { background: var(--below); }
.track > .chance { border-left: 2px dotted var(--mark); }
.track > .baseline { border-left: 3px solid var(--mark); }
.key { color: var(--soft); font-size: .9rem; }
.key .track {
  display: inline-block; width: 1.6rem; margin: 0 .3rem 0 .9rem;
  vertical-align: text-bottom;
}
figure { margin: 1rem 0; }
figcaption { color: var(--soft); }
img {
  max-width: 100%; height: auto; background: #ffffff; border-radius: 4px;
}
"""
